"""The other ends of streams: raw sockets of the test, plain or TLS, on loopback TCP (where a reset can be seen)."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress

from lbproxy.net.transport.poller import Handler, Poller
from lbproxy.net.transport.stream import Stream

PATIENCE = 60.0
"""Seconds after which a test that waits for a peer has failed; no test passes or fails by being faster."""


async def turn() -> None:
    """One turn of the event loop."""
    loop = asyncio.get_running_loop()
    turned = asyncio.Event()
    loop.call_soon(turned.set)
    await turned.wait()


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until `condition()` is true; what takes longer than some turns may have the CPU."""
    turns = 0
    async with asyncio.timeout(PATIENCE):
        while not condition():
            turns += 1
            await (turn() if turns < 100 else asyncio.sleep(0.001))


async def settled(state: Callable[[], object]) -> None:
    """Let the loop turn until `state()` stays the same: the kernel's buffers are full, and nothing moves."""
    calm, before = 0, state()
    async with asyncio.timeout(PATIENCE):
        while calm < 200:
            await turn()
            calm = calm + 1 if state() == before else 0
            before = state()


def tcp_pair(buffer: int = 0) -> tuple[socket.socket, socket.socket]:
    """Two connected, non-blocking sockets. buffer: about how many bytes the kernel may hold on each of the ways."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.socket()
        for sock in (listener, far) if buffer else ():  # before the window is agreed on; an accepted socket inherits
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        far.connect(listener.getsockname())
        near, _ = listener.accept()
    for sock in (near, far):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


class Peer:
    """A plain peer. It reads only when it is asked to."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def receive(self, size: int = 65536) -> bytes:
        """What is there next, at most `size` bytes; b"" at the end."""
        async with asyncio.timeout(PATIENCE):
            return await asyncio.get_running_loop().sock_recv(self.sock, size)

    async def exactly(self, size: int) -> bytes:
        """`size` bytes, or fewer where the stream ends before."""
        data = b""
        while len(data) < size and (more := await self.receive(min(65536, size - len(data)))):
            data += more
        return data

    async def head(self) -> bytes:
        """The next message's head, and nothing behind it."""
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            more = await self.receive(1)
            assert more, f"the end, after {data!r}"
            data += more
        return data

    async def sees(self, expected: bytes) -> None:
        """The next bytes are these."""
        assert await self.exactly(len(expected)) == expected

    async def rest(self) -> bytes:
        """Everything up to the end; ConnectionResetError when that was a reset."""
        return await self.exactly(1 << 60)

    async def is_reset(self) -> None:
        """The connection was broken off, after whatever was on its way."""
        try:
            while await self.receive():
                pass
        except ConnectionResetError:
            return
        raise AssertionError("a clean end, not a reset")

    def finish(self) -> None:
        """Half-close."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class TlsPeer(Peer):
    """A TLS peer whose every step is the test's: handshake, close_notify, FIN."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, server_name: str | None = None) -> None:
        """server_name: this is the client, and expects a certificate for it."""
        super().__init__(sock)
        self.pieces = 0  # how many bytes go into one segment; 0: all
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_name is None, server_hostname=server_name
        )

    async def shake_hands(self, first: bytes = b"") -> None:
        """The handshake; `first` goes out with the last of its messages."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.flush()
                await self._fill()
            else:
                break
        if first:
            self._tls.write(first)
        await self.flush()

    async def flush(self) -> None:
        data = self._outgoing.read()
        for at in range(0, len(data), self.pieces or len(data) or 1):
            await Peer.send(self, data[at : at + (self.pieces or len(data))])

    async def _fill(self) -> None:
        data = await Peer.receive(self)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def send(self, data: bytes) -> None:
        self._tls.write(data)
        await self.flush()

    async def receive(self, size: int = 65536) -> bytes:
        while True:
            try:
                return self._tls.read(size)
            except ssl.SSLWantReadError:
                await self._fill()
            except ssl.SSLZeroReturnError:
                return b""

    @property
    def certificate(self) -> dict[str, object]:
        """The server's, as `SSLObject.getpeercert` tells it."""
        return dict(self._tls.getpeercert() or {})

    def encrypted(self, data: bytes, last: bool = False) -> bytes:
        """Records, not sent yet; `last`: with a close_notify."""
        self._tls.write(data)
        if last:
            self.close_notify()
        return self._outgoing.read()

    def close_notify(self) -> None:
        """Into the buffer of what `flush` sends."""
        with suppress(ssl.SSLWantReadError):
            self._tls.unwrap()


class Recorder(Handler):
    """Receives all that comes and notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.received = b""
        self.ended = False
        self.error: object = None  # the first

    def note(self, what: str) -> None:
        self.told.append(what)

    def readable(self, stream: Stream) -> None:
        try:
            data = stream.read()
        except OSError as error:
            self.error = self.error or error
            data = b""
        if data is not None:
            self.received += data
            self.ended = not data
        if self.ended:
            stream.pause()

    def writable(self, stream: Stream) -> None:
        self.note("writable")

    def connected(self, stream: Stream) -> None:
        self.note("connected")

    def secured(self, stream: Stream) -> None:
        self.note("secured")

    def lost(self, stream: Stream, error: object) -> None:
        self.error = error
        stream.pause()
        self.note("lost")

    def expired(self, stream: Stream) -> None:
        self.note("expired")

    def covered(self, stream: Stream) -> bool:
        return True


def let_expire(poller: Poller, stream: Stream) -> None:
    """The deadline that `stream` has passes now."""
    assert stream.deadline > 0, "it would wait for ever"
    stream.deadline = poller.now
    poller.tick()


def fill(stream: Stream) -> bytes:
    """Write until some waits in the queue; what was written."""
    written = b""
    number = 0
    while not stream.has_queue():
        data = number.to_bytes(8, "big") * 4096
        stream.write(data)
        written += data
        number += 1
    return written
