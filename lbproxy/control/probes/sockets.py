"""Plain connections for the probes of a pool, at the least cost: a thousand backends are five hundred of them a second.

They are bare sockets in an epoll set of their own, which the event loop watches as one descriptor. A wait costs a
future; a transport, or the loop's own `sock_connect` and `sock_recv`, cost more than all else that a probe does.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
from typing import Any, NamedTuple

from lbproxy.control.probes.connect import connect

_LENGTH = 16 * 1024  # bytes that are received at once; most answers are shorter


class Place(NamedTuple):
    """Where a backend is. `address` is None for a name, which is resolved for every probe."""

    host: str
    port: int
    address: tuple[socket.AddressFamily, Any] | None


def place(host: str, port: int) -> Place:
    """host: a name or an address, without brackets."""
    try:
        [found, *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return Place(host, port, None)
    return Place(host, port, (found[0], found[4]))


class Sockets:
    """Connects, and receives. The caller closes what it was given, and limits the time of every wait."""

    def __init__(self) -> None:
        """Call it on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._waiting: dict[int, asyncio.Future[None]] = {}  # by descriptor
        self._loop.add_reader(self._epoll.fileno(), self._ready)

    def __repr__(self) -> str:
        return f"<sockets of probes, {len(self._waiting)} waiting>"

    async def connect(self, there: Place, words: bytes) -> socket.socket:
        """A connected socket on which `words` were sent. Raises OSError."""
        sock = await self._connected(there)
        try:
            while words := words[sock.send(words) :]:
                await self._wait(sock, select.EPOLLOUT)
        except BaseException:
            sock.close()
            raise
        return sock

    async def receive(self, sock: socket.socket) -> bytes:
        """What comes next on one of its connections, b"" at the end. Raises OSError."""
        await self._wait(sock, select.EPOLLIN)
        return sock.recv(_LENGTH)

    def close(self) -> None:
        """Call it when the last probe has ended."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    async def _connected(self, there: Place) -> socket.socket:
        if there.address is None:
            sock = await connect(there.host, there.port)
            self._epoll.register(sock, select.EPOLLONESHOT)
            return sock
        family, address = there.address
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            error = sock.connect_ex(address)
            self._epoll.register(sock, select.EPOLLONESHOT)
            if error == errno.EINPROGRESS:
                await self._wait(sock, select.EPOLLOUT)
                error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error))
        except BaseException:
            sock.close()
            raise
        return sock

    async def _wait(self, sock: socket.socket, event: int) -> None:
        """Until `sock` is ready for `event`, or has failed."""
        number = sock.fileno()
        ready = self._waiting[number] = self._loop.create_future()
        self._epoll.modify(number, event | select.EPOLLONESHOT)
        try:
            await ready
        finally:
            del self._waiting[number]

    def _ready(self) -> None:
        for number, _ in self._epoll.poll(0):
            ready = self._waiting.get(number)
            if ready is not None and not ready.done():  # done: its time was over in this very turn
                ready.set_result(None)
