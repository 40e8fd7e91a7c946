from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterable
from pathlib import Path

import pytest

from lbproxy.demo.children import Child
from lbproxy.demo.stack import CONNECTORS, DemoStack
from lbproxy.errors import StartError
from tests.ports import free_block


def alive(children: Iterable[Child]) -> list[bool]:
    return [Path(f"/proc/{child.pid}").exists() for child in children]


async def test_everything_runs_until_the_block_is_left(tmp_path: Path) -> None:
    async with DemoStack(tmp_path, free_block(), kerberos=True, tell=print) as stack:
        assert [child.name for child in stack.connectors] == list(CONNECTORS)
        assert alive([*stack.connectors, *stack.balancers]) == [True] * 4
        assert stack.ticket is not None
    assert not any(alive([*stack.connectors, *stack.balancers]))


async def test_a_port_that_is_taken_is_replaced(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack = DemoStack(tmp_path, port, kerberos=False, tell=print)
    urls = [stack.server_url, stack.passthrough_url]
    assert urls == [f"https://login.corp.example:{port}" for port in stack.ports]
    assert len({port, *stack.ports}) == 3


async def test_the_watch_starts_a_killed_connector_again_and_ends_with_a_balancer(tmp_path: Path) -> None:
    told = asyncio.Queue[str]()
    async with DemoStack(tmp_path, free_block(), kerberos=False, tell=told.put_nowait, restart_after=0.0) as stack:
        await check_killed_connector(stack, told)
        os.kill(stack.balancers[0].pid, signal.SIGKILL)
        with pytest.raises(StartError, match="lb1 ended with status -9"):
            await stack.watch()


async def check_killed_connector(stack: DemoStack, told: asyncio.Queue[str]) -> None:
    """It is started again where it was."""
    watch = asyncio.create_task(stack.watch())
    victim = stack.connectors[1]
    first = victim.pid
    os.kill(first, signal.SIGKILL)
    assert await told.get() == "c2 is dead. It starts again in 0 s."
    assert await told.get() == f"c2 runs again, as process {victim.pid}."
    assert victim.pid != first
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch
    urls = (stack.directory / "c2.log").read_text().splitlines()
    assert urls[0] == urls[1]


async def test_nothing_is_left_of_a_town_that_cannot_start(tmp_path: Path) -> None:
    stack = DemoStack(tmp_path, free_block(), kerberos=False, tell=print)
    (tmp_path / "lb1.log").mkdir()  # so the balancer cannot be started
    with pytest.raises(OSError, match=r"lb1\.log"):
        async with stack:
            pass
    assert alive(stack.connectors) == [False] * 3
