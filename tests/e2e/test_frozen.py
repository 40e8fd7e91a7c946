"""A connector that stands still: its lanes stay, it accepts connections, and nothing answers."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.ports import free_port

from .backend import Lane, answer
from .client import Client
from .conftest import Backends, Balance
from .instance import Instance
from .starting import SAMPLE
from .tokens import kerberos_token, user_of

USERS = 50
BY_SUSPICION = {"kind": "http", "path": "/healthz", "interval": "1h", "timeout": "500ms"}
"""Of a check that finds nothing out by itself: only an answer that takes too long makes it probe."""


@pytest_asyncio.fixture(loop_scope="session")
async def connectors(directory: Path) -> AsyncIterator[list[Instance]]:
    """Three sample connectors, which answer after some work."""
    started = [_connector(name, directory) for name in ("c1", "c2", "c3")]
    for instance in started:
        await instance.start()
    yield started
    for instance in started:
        await instance.kill()
        print(instance, instance.last_words)  # pytest shows it beside a failure only


def _connector(name: str, directory: Path) -> Instance:
    port = free_port()
    command = [*SAMPLE, "--name", name, "--port", str(port), "--work-ms", "20"]
    return Instance(name, port, command, directory / f"{name}.log", "listening: ", {})


async def test_users_of_a_frozen_connector_wait_for_a_probe_only(
    connectors: list[Instance], directory: Path, balance: Balance
) -> None:
    """Not for response_timeout: that is longer than any client of these tests has patience."""
    balancer = await balance(*connectors, pool={"check": BY_SUSPICION})
    over = asyncio.Event()

    async def user() -> int:
        """Asks until it is over; how often it was answered."""
        answers = 0
        async with await balancer.connect() as client:
            while not over.is_set():
                assert (await client.ask("/users")).status == 200
                answers += 1
        return answers

    users = [asyncio.ensure_future(user()) for _ in range(USERS)]
    await balancer.accessed(10 * USERS)
    connectors[1].signal(signal.SIGSTOP)
    await balancer.logged("backend_suspected", "backend=c2", "reason=response_slow")
    await balancer.logged("backend_ejected", "backend=c2", "reason=probe")
    await balancer.accessed(len(balancer.access) + 10 * USERS)
    over.set()
    assert min(await asyncio.gather(*users)) > 0
    count = (await balancer.status())["ends"]["backend_ejected"]
    moved = await balancer.accessed(count, tries=2)
    assert len(moved) == count > 0
    assert {(record["status"], record["backend"]) for record in moved} <= {(200, "c1"), (200, "c3")}


class Connector:
    """A script that keeps its users on their connections, and stands still when it is told to."""

    def __init__(self) -> None:
        self.runs = asyncio.Event()
        self.runs.set()

    async def __call__(self, lane: Lane) -> None:
        user = b""
        while seen := await lane.request():
            await self.runs.wait()
            _, _, token = (seen.get("authorization") or b"").partition(b" ")
            user = user_of(token) if token else user
            if user or seen.target == b"/healthz":
                await lane.send(answer(user, f"X-Backend: {lane.backend.name}"))
            else:
                await lane.send(answer(b"who?", "WWW-Authenticate: Negotiate", status="401 Unauthorized"))


async def signs_in(client: Client) -> str:
    """With a fresh ticket; the connector that took it."""
    response = await client.ask("/", "GET", f"Authorization: Negotiate {kerberos_token('alice')}")
    assert (response.status, response.body) == (200, b"alice")
    return (response.get("x-backend") or b"").decode()


@pytest.mark.parametrize("who", ["asks", "rests"])
async def test_users_who_lean_on_a_frozen_connector_sign_in_elsewhere(
    backends: Backends, balance: Balance, who: str
) -> None:
    """Whether their request waits, or comes later: a browser answers the 401 with a fresh ticket, unseen."""
    frozen = Connector()
    balancer = await balance(*await backends(frozen, Connector()), pool={"check": BY_SUSPICION})
    async with await balancer.connect() as client, await balancer.connect() as stranger:
        assert await signs_in(client) == "c1"
        assert (await client.ask()).body == b"alice"
        frozen.runs.clear()
        if who == "rests":
            assert [(await stranger.ask()).status for _ in range(2)] == [401, 401]
            await balancer.logged("backend_ejected", "backend=c1")
        assert (await client.ask()).status == 401
        assert await signs_in(client) == "c2"
