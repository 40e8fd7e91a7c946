"""Backends that behave in one way each, for the probes to meet."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from lbproxy.wire.proxyproto import MalformedProxyHeader, parse

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on a free port of 127.0.0.1, which it yields; `serve` has each connection, closed when it returns."""
    connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        with suppress(asyncio.CancelledError, ConnectionError, EOFError):  # the test is over, or the client left
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()


def answering(answer: bytes) -> Serve:
    """Reads a request's head and sends `answer`, whatever it was."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return serve


@asynccontextmanager
async def behind_proxy_protocol(port: int) -> AsyncIterator[int]:
    """A way to `port` that opens to a PROXY header without addresses only; it yields a port of its own.

    Whoever sends anything else first is left without a word, as HAProxy and nginx do it.
    """

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = b""
        try:
            while (header := parse(data)) is None:
                data += await reader.readexactly(1)
        except MalformedProxyHeader:
            return
        if header.source is not None:
            return
        backend, to_backend = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(_pump(reader, to_backend), _pump(backend, writer))
        finally:
            to_backend.close()

    async with listening(relay) as own:
        yield own


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
    sink.close()


async def hanging(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts and says nothing until the client leaves."""
    await reader.read()


def silent(asked: asyncio.Event) -> Serve:
    """Reads a request's head, sets `asked`, and says nothing until the client leaves."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()
        writer.close()

    return serve


def endless(head: bytes, gone: asyncio.Event) -> Serve:
    """Sends `head` and a body without end, and sets `gone` when the client has left."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        except ConnectionError:
            gone.set()

    return serve


async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads the first bytes and resets the connection."""
    await reader.read(1)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


def unused_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
