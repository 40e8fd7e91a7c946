from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lbproxy.config import Config, load
from lbproxy.process.generation.tracing import start_exporter

FILE = """
server_url = "https://login.corp.example"
[listener.login]
bind = "127.0.0.1:8080"
pool = "connectors"
[pool.connectors]
backends = [{ name = "c1", url = "http://10.0.0.11:4000" }]
"""


def config(tmp_path: Path, table: str) -> Config:
    path = tmp_path / "lb.toml"
    path.write_text(FILE + table)
    return load(path)


@pytest.mark.parametrize("table", ["", "[tracing]", '[tracing]\nendpoint = ""'])
async def test_without_a_collector_there_is_none(tmp_path: Path, table: str) -> None:
    async with AsyncExitStack() as stack:
        assert start_exporter(config(tmp_path, table), stack, None, None) is None


@pytest.mark.parametrize("where", ["data_path", "supervisor"])
async def test_it_takes_what_is_sampled_and_ends_with_the_generation(tmp_path: Path, where: str) -> None:
    data_path: Any = SimpleNamespace(traces=SimpleNamespace(hand_over=None))
    supervisor: Any = SimpleNamespace(traced=None)
    made = config(tmp_path, '[tracing]\nendpoint = "http://127.0.0.1:9"')
    async with AsyncExitStack() as stack:
        here = where == "data_path"
        exporter = start_exporter(made, stack, data_path if here else None, None if here else supervisor)
        assert exporter is not None
        assert cast(object, data_path.traces.hand_over if here else supervisor.traced) == exporter.put
        assert "127.0.0.1:9" in repr(exporter)
    assert not exporter._thread.is_alive()
