from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from lbproxy.demo.children import Child
from lbproxy.demo.town import CONNECTORS, Town
from lbproxy.errors import StartError


@pytest.fixture
def told() -> asyncio.Queue[str]:
    """What the town says while it runs."""
    return asyncio.Queue()


@pytest.fixture
async def town(tmp_path: Path, told: asyncio.Queue[str]) -> AsyncIterator[Town]:
    async with Town(tmp_path, 0, kerberos=False, tell=told.put_nowait, restart_after=0.0) as town:
        yield town


def alive(children: Iterable[Child]) -> list[bool]:
    return [Path(f"/proc/{child.pid}").exists() for child in children]


async def test_everything_runs_until_the_block_is_left(tmp_path: Path) -> None:
    async with Town(tmp_path, 0, kerberos=True, tell=print) as town:
        assert [child.name for child in town.connectors] == list(CONNECTORS)
        assert alive([*town.connectors, town.balancer]) == [True] * 4
        assert town.ticket is not None
    assert not any(alive([*town.connectors, town.balancer]))


async def test_a_port_that_is_taken_is_replaced(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        town = Town(tmp_path, port, kerberos=False, tell=print)
    assert town.port != port
    assert town.server_url == f"https://login.corp.example:{town.port}"
    assert town.passthrough_url == f"https://login.corp.example:{town.passthrough_port}"
    assert town.passthrough_port != town.port


async def test_a_killed_connector_is_started_again_where_it_was(town: Town, told: asyncio.Queue[str]) -> None:
    watch = asyncio.create_task(town.watch())
    victim = town.connectors[1]
    first = victim.pid
    os.kill(first, signal.SIGKILL)
    assert await told.get() == "c2 is dead. It starts again in 0 s."
    assert await told.get() == f"c2 runs again, as process {victim.pid}."
    assert victim.pid != first
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch
    urls = (town.directory / "c2.log").read_text().splitlines()
    assert urls[0] == urls[1]


async def test_the_end_of_the_balancer_ends_the_watch(town: Town) -> None:
    os.kill(town.balancer.pid, signal.SIGKILL)
    with pytest.raises(StartError, match="the balancer ended with status -9"):
        await town.watch()


async def test_nothing_is_left_of_a_town_that_cannot_start(tmp_path: Path) -> None:
    town = Town(tmp_path, 0, kerberos=False, tell=print)
    (tmp_path / "lbproxy.log").mkdir()  # so the balancer cannot be started
    with pytest.raises(OSError, match=r"lbproxy\.log"):
        async with town:
            pass
    assert alive(town.connectors) == [False] * 3
