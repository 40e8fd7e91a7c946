from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from aiohttp import web

from lbproxy.dashboard import server
from lbproxy.dashboard.server import Server

WITHIN = 20.0
ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def answer(_: web.Request) -> web.Response:
    return web.Response(text="here")


async def large(_: web.Request) -> web.Response:
    return web.Response(body=b"x" * 20_000_000)


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(server, "FIRST_WITHIN", WITHIN)
    monkeypatch.setattr(server, "_SWEEP_EVERY", 0.02)
    monkeypatch.setattr(server, "MOST", 3)
    app = web.Application()
    app.add_routes([web.get("/", answer), web.get("/large", large)])
    sock = socket.create_server(("127.0.0.1", 0))
    one = Server(app, sock)
    await one.start()
    yield int(sock.getsockname()[1])
    await one.stop()


async def is_cut_off(reader: asyncio.StreamReader) -> bool:
    """Whether nothing more comes."""
    async with asyncio.timeout(WITHIN):
        with suppress(ConnectionError):
            return await reader.read() == b""
    return True


async def end(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_one_that_asks_nothing_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "FIRST_WITHIN", 0.1)
    for sent in (b"", ASK[:20]):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with asyncio.timeout(WITHIN):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        await end(writer)


async def test_one_that_asked_may_ask_again(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(ASK)
        async with asyncio.timeout(WITHIN):
            await reader.readuntil(b"here")
        monkeypatch.setattr(server, "FIRST_WITHIN", 0.0)  # it would be late now
        await asyncio.sleep(0.1)  # some sweeps
    await end(writer)


async def test_a_head_of_many_large_fields_is_not_kept(port: int) -> None:
    """Each field is as long as a ticket may be, and aiohttp takes 128 of them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(ASK)
    await reader.readuntil(b"here")  # from now on it has no deadline for a first request
    with suppress(ConnectionError):
        writer.write(ASK[:-2])
        for number in range(3):
            writer.write(b"X-%d: %s\r\n" % (number, b"x" * 100_000))
            await writer.drain()
    assert await is_cut_off(reader)
    await end(writer)


async def test_one_that_takes_no_answer_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read: TCP tells of the reset once something is sent."""
    monkeypatch.setattr(server, "TAKEN_WITHIN", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
    writer.write(ASK.replace(b"GET /", b"GET /large"))
    async with asyncio.timeout(WITHIN):
        with pytest.raises(ConnectionError):
            await _send_for_ever(writer)
    assert reader.at_eof() or reader.exception() is not None
    await end(writer)


async def _send_for_ever(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("bad", [b"\x16\x03\x01\0\xa5", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n<script>: 1\r\n\r\n"])
async def test_what_is_no_request_gets_no_page_of_anything(port: int, bad: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(bad + b"\r\n\r\n")
    async with asyncio.timeout(WITHIN):
        answer = await reader.read()
    await end(writer)
    assert answer.startswith(b"HTTP/1.0 400 ") or answer.startswith(b"HTTP/1.1 400 ")
    assert b"<script" not in answer
    assert b"aiohttp" not in answer.lower()


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
