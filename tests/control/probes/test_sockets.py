"""Connections to real servers; test_tcp.py and test_http.py have what probes do with them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from lbproxy.control.probes.sockets import Sockets, place
from tests.control.probes.backends import hanging, listening, resetting, unused_port


@pytest.fixture
async def sockets() -> AsyncIterator[Sockets]:
    sockets = Sockets()
    yield sockets
    assert repr(sockets) == "<sockets of probes, 0 waiting>"
    sockets.close()


async def echoing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def all_of(sockets: Sockets, sock: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size and (more := await sockets.receive(sock)):
        received += more
    return received


def test_addresses_are_looked_up_once() -> None:
    assert place("127.0.0.1", 80) == ("127.0.0.1", 80, (socket.AF_INET, ("127.0.0.1", 80)))
    assert place("::1", 80) == ("::1", 80, (socket.AF_INET6, ("::1", 80, 0, 0)))
    assert place("localhost", 80) == ("localhost", 80, None)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_words_there_and_back(sockets: Sockets, host: str) -> None:
    async with listening(echoing) as port:
        with await sockets.connect(place(host, port), b"hello") as sock:
            assert await all_of(sockets, sock, 5) == b"hello"
            sock.send(b"again")
            assert await all_of(sockets, sock, 5) == b"again"


async def test_more_words_than_a_buffer_has_room_for(sockets: Sockets) -> None:
    received: asyncio.Queue[int] = asyncio.Queue()

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.put_nowait(len(await reader.read(-1)))

    words = bytes(16 * 1024 * 1024)
    async with listening(counting) as port:
        (await sockets.connect(place("127.0.0.1", port), words)).close()
        assert await received.get() == len(words)


async def test_many_at_once(sockets: Sockets) -> None:
    async def ask(port: int, words: bytes) -> bytes:
        with await sockets.connect(place("127.0.0.1", port), words) as sock:
            return await all_of(sockets, sock, len(words))

    async with listening(echoing) as port:
        words = [str(number).encode() for number in range(100)]
        assert await asyncio.gather(*(ask(port, each) for each in words)) == words


async def test_nobody_listens(sockets: Sockets) -> None:
    with pytest.raises(ConnectionRefusedError):
        await sockets.connect(place("127.0.0.1", unused_port()), b"")


async def test_a_port_that_no_connection_may_have(sockets: Sockets) -> None:
    """connect(2) fails at once: ENETUNREACH, EACCES or EADDRNOTAVAIL, as the system likes."""
    with pytest.raises(OSError, match=r"."):
        await sockets.connect(place("255.255.255.255", 1), b"")


async def test_a_server_that_resets(sockets: Sockets) -> None:
    async with listening(resetting) as port:
        with await sockets.connect(place("127.0.0.1", port), b"hello") as sock, pytest.raises(ConnectionResetError):
            await sockets.receive(sock)


async def test_nobody_waits_after_a_time_out(sockets: Sockets) -> None:
    async with listening(hanging) as port:
        with await sockets.connect(place("127.0.0.1", port), b"") as sock:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await sockets.receive(sock)
            assert repr(sockets) == "<sockets of probes, 0 waiting>"
