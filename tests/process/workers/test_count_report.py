"""What a worker tells of its backends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from lbproxy.balance.member import Member
from lbproxy.config import load
from lbproxy.process.ipc.worker_messages import BackendsCounted
from lbproxy.process.workers.count_report import PIECE, CountReport
from lbproxy.record import Exemplar
from lbproxy.runtime.data_path import DataPath
from tests.process.places import listen_all
from tests.runtime.test_data_path import CONFIG

MANY = 3 * PIECE


@pytest.fixture
async def data_path(tmp_path: Path) -> AsyncIterator[DataPath]:
    path = tmp_path / "lb.toml"
    path.write_text('access_log.path = ""\n' + CONFIG.format(url="http://c1.test", listener="", pool=""))
    config = load(path)
    sockets = listen_all(config)
    made = DataPath(config, sockets, Mock(), logs=False)
    made.pools["connectors"].apply("dns", [Member(f"m{number}", "http://m.test") for number in range(MANY - 1)])
    yield made
    made.stop()
    for sock in sockets.values():
        sock.close()


def told(report: CountReport) -> list[BackendsCounted]:
    return [piece for piece in report.pieces() if piece is not None]


async def test_each_turn_of_the_loop_is_about_some_of_them(data_path: DataPath) -> None:
    report = CountReport(data_path)
    assert [len(piece.backends) for piece in told(report)] == [PIECE] * 3
    assert list(report.pieces()) == [None] * 3


async def test_only_those_that_have_changed_are_told(data_path: DataPath) -> None:
    pool, report = data_path.pools["connectors"], CountReport(data_path)
    told(report)
    one, other = pool.backends[0], pool.backends[-1]
    one.begin()
    other.begin()
    other.end(200)
    first, last = told(report)
    assert {name: one["active"] for name, one in first.backends.items()} == {f"connectors/{one.name}": 1}
    assert {name: one["requests"] for name, one in last.backends.items()} == {f"connectors/{other.name}": 1}


async def test_an_exemplar_is_told_once(data_path: DataPath) -> None:
    pool, report = data_path.pools["connectors"], CountReport(data_path)
    told(report)
    exemplar, one = Exemplar(0.1, 10.0, "x", ""), pool.backends[0]
    one.latency.example(0.1, exemplar)
    [piece] = told(report)
    assert piece.exemplars == {f"connectors/{one.name}": [exemplar]}
    one.latency.add(0.1)
    [piece] = told(report)
    assert piece.exemplars == {}


async def test_those_that_left_are_told_once_and_one_that_came_back_as_it_is(data_path: DataPath) -> None:
    pool, report = data_path.pools["connectors"], CountReport(data_path)
    pool.backends[0].begin()
    pool.backends[0].end(200)
    told(report)
    pool.leave("m0")
    pool.leave("c1")
    pool.join(Member("c1", "http://c1.test"))
    gone, back = told(report)
    assert gone == BackendsCounted({}, ["connectors/m0"])
    assert back.backends["connectors/c1"]["requests"] == 0
    assert told(report) == []
