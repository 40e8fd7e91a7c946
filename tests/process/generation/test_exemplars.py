from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Rules
from lbproxy.balance.pool import Pool
from lbproxy.process.generation.exemplars import ExemplarSources
from lbproxy.record import Exemplar

ONE, OTHER = Exemplar(0.1, 10.0, "x", ""), Exemplar(0.2, 11.0, "y", "0af7")


def test_those_of_this_process() -> None:
    pool = Pool("p", [Backend("c1", "http://c1:80"), Backend("c2", "http://c2:80")], Rules())
    pool.backends[0].latency.example(0.1, ONE)
    data_path: Any = SimpleNamespace(pools={"p": pool})
    assert ExemplarSources(data_path, None)() == {("p", "c1"): [ONE], ("p", "c2"): []}


def test_those_of_all_workers() -> None:
    workers = {
        0: SimpleNamespace(exemplars={"p/c1": [ONE]}),
        1: SimpleNamespace(exemplars={"p/c1": [OTHER], "p/a/b": [ONE]}),
    }
    sources = ExemplarSources(None, cast(Any, SimpleNamespace(workers=workers)))
    assert sources() == {("p", "c1"): [ONE, OTHER], ("p", "a/b"): [ONE]}
