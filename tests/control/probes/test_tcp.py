from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from lbproxy.control.probes.sockets import Sockets, place
from lbproxy.control.probes.tcp import TcpProbe
from tests.control.probes.backends import listening, unused_port


@pytest.fixture
async def sockets() -> AsyncIterator[Sockets]:
    sockets = Sockets()
    yield sockets
    sockets.close()


async def test_a_backend_that_accepts_is_healthy_and_is_left_at_once(sockets: Sockets) -> None:
    received: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.put_nowait(await reader.read())

    async with listening(serve) as port:
        result = await TcpProbe(sockets, place("127.0.0.1", port), timeout=10).run()
        assert (result.ok, result.detail) == (True, "connected")
        assert await received.get() == b""


async def test_a_backend_by_name(sockets: Sockets) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(serve) as port:
        assert (await TcpProbe(sockets, place("localhost", port), timeout=10).run()).ok


async def test_a_port_that_nobody_listens_on(sockets: Sockets) -> None:
    result = await TcpProbe(sockets, place("127.0.0.1", unused_port()), timeout=10).run()
    assert (result.ok, result.detail) == (False, "connection refused")


async def test_a_name_that_does_not_exist(sockets: Sockets) -> None:
    result = await TcpProbe(sockets, place("no-such-host.invalid", 80), timeout=30).run()
    assert not result.ok
    assert result.detail.startswith("cannot resolve the name")
