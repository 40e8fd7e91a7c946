from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from lbproxy.dashboard import server
from lbproxy.dashboard.server import Server

WITHIN = 20.0
ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def answer(_: web.Request) -> web.Response:
    return web.Response(text="here")


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(server, "FIRST_WITHIN", 0.1)
    monkeypatch.setattr(server, "_SWEEP_EVERY", 0.02)
    monkeypatch.setattr(server, "MOST", 3)
    app = web.Application()
    app.add_routes([web.get("/", answer)])
    sock = socket.create_server(("127.0.0.1", 0))
    one = Server(app, sock)
    await one.start()
    yield int(sock.getsockname()[1])
    await one.stop()


async def end(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_one_that_asks_nothing_is_cut_off(port: int) -> None:
    for sent in (b"", ASK[:20]):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with asyncio.timeout(WITHIN):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        await end(writer)


async def test_one_that_asked_may_ask_again(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for pause in (0.0, 0.3):
        await asyncio.sleep(pause)  # longer than a connection has for its first request
        writer.write(ASK)
        async with asyncio.timeout(WITHIN):
            await reader.readuntil(b"here")
    await end(writer)


async def test_one_too_many_is_refused_and_room_is_made(port: int) -> None:
    some = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    for reader, writer in some:
        writer.write(ASK)
        await reader.readuntil(b"here")
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    await end(writer)
    for _, writer in some:
        await end(writer)
    async with asyncio.timeout(WITHIN):
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(ASK)
                await reader.readuntil(b"here")
                break
            except (ConnectionError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.01)
            finally:
                await end(writer)
