from __future__ import annotations

import asyncio

from lbproxy.control.probes.tcp import TcpProbe
from tests.control.probes.backends import listening, unused_port


async def test_a_backend_that_accepts_is_healthy_and_is_left_at_once() -> None:
    received: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.put_nowait(await reader.read())

    async with listening(serve) as port:
        result = await TcpProbe("127.0.0.1", port, timeout=10).run()
        assert (result.ok, result.detail) == (True, "connected")
        assert await received.get() == b""


async def test_a_backend_by_name() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(serve) as port:
        assert (await TcpProbe("localhost", port, timeout=10).run()).ok


async def test_a_port_that_nobody_listens_on() -> None:
    result = await TcpProbe("127.0.0.1", unused_port(), timeout=10).run()
    assert (result.ok, result.detail) == (False, "connection refused")


async def test_a_name_that_does_not_exist() -> None:
    result = await TcpProbe("no-such-host.invalid", 80, timeout=30).run()
    assert not result.ok
    assert result.detail.startswith("cannot resolve the name")
