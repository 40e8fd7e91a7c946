"""A client that sends exactly the bytes that a test names, and reads strictly."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import ssl
import struct
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from .message import LIMIT, Cut, Response, pieces, read_body, read_response_head
from .progress import DEADLINE

HOST = "login.test"
"""The name that the balancers of the tests serve."""


def request(
    target: str = "/",
    method: str = "GET",
    *lines: str,
    body: bytes | None = None,
    host: str | None = HOST,
    version: str = "HTTP/1.1",
) -> bytes:
    """A request: `lines` are header lines without CR LF; a `body` adds its Content-Length."""
    head = [f"{method} {target} {version}"]
    if host is not None:
        head.append(f"Host: {host}")
    head.extend(lines)
    if body is not None:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + (body or b"")


def chunked(parts: Iterable[bytes], *trailers: str) -> bytes:
    """A chunked body (RFC 9112 section 7.1) of `parts`, with `trailers` as whole lines."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return chunks + b"0\r\n" + "".join(f"{line}\r\n" for line in trailers).encode() + b"\r\n"


class Client:
    """One client connection, plain or TLS. Use it as a context manager: leaving it closes the connection.

    `name` is this end as the access log names it, "ip:port".
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.name = _address(writer.get_extra_info("sockname"))
        self._socket: socket.socket = writer.get_extra_info("socket")

    @classmethod
    async def connect(
        cls,
        address: tuple[str, int],
        tls: ssl.SSLContext | None = None,
        server_name: str = HOST,
        source: str | None = None,
        receive_buffer: int | None = None,
        limit: int = LIMIT,
    ) -> Self:
        """Connect to `address`, from the address `source` if that matters.

        `receive_buffer` (bytes, SO_RCVBUF) and `limit` bound what is read ahead.
        """
        sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or two small writes are 40 ms apart
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        async with asyncio.timeout(DEADLINE):
            try:
                if source is not None:
                    sock.bind((source, 0))
                await asyncio.get_running_loop().sock_connect(sock, address)
                return cls(
                    *await asyncio.open_connection(
                        sock=sock, ssl=tls, server_hostname=server_name if tls else None, limit=limit
                    )
                )
            except BaseException:
                sock.close()
                raise

    async def send(self, *parts: bytes) -> None:
        """Send each part as a write of its own."""
        async with asyncio.timeout(DEADLINE):
            for part in parts:
                self.writer.write(part)
                await self.writer.drain()

    async def head(self) -> Response:
        """The next head, be it a 1xx, without its body."""
        async with asyncio.timeout(DEADLINE):
            return await read_response_head(self.reader)

    async def response(self, method: str = "GET") -> Response:
        """The next final response, to a request of `method`, whole."""
        async with asyncio.timeout(DEADLINE):
            response = await self._final_head()
            if not response.is_bodiless(method.encode()):
                await read_body(self.reader, response, to_the_end=response.closes)
            return response

    async def digest(self) -> tuple[Response, int, str]:
        """The next final response; its body is counted and hashed (sha256), not kept."""
        response = await self._final_head()
        size, digest = 0, hashlib.sha256()
        async for piece in pieces(self.reader, response, to_the_end=response.closes):
            size += len(piece)
            digest.update(piece)
        return response, size, digest.hexdigest()

    async def ask(self, target: str = "/", method: str = "GET", *lines: str, body: bytes | None = None) -> Response:
        """Send one request and read its response."""
        await self.send(request(target, method, *lines, body=body))
        return await self.response(method)

    async def read(self, size: int) -> bytes:
        """Exactly `size` raw bytes."""
        async with asyncio.timeout(DEADLINE):
            return await self.reader.readexactly(size)

    async def rest(self) -> bytes:
        """Raw bytes until the peer closes; a reset raises `Cut`."""
        async with asyncio.timeout(DEADLINE):
            try:
                return await self.reader.read()
            except ConnectionError as error:
                raise Cut("reset", clean=False) from error

    async def closed(self) -> None:
        """Wait until the peer has closed or reset the connection, and assert that it said nothing more."""
        with contextlib.suppress(Cut):
            assert await self.rest() == b""

    def half_close(self) -> None:
        """Send FIN; the answer can still be read."""
        self.writer.write_eof()

    def reset(self) -> None:
        """Send RST: everything not yet read is lost."""
        abort(self._socket, self.writer)

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
            async with asyncio.timeout(DEADLINE):
                await self.writer.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _final_head(self) -> Response:
        interim = []
        while (response := await read_response_head(self.reader)).status < 200 and response.status != 101:
            interim.append(response)
        response.interim = interim
        return response


def abort(sock: socket.socket, writer: asyncio.StreamWriter) -> None:
    """Close `sock`, the socket of `writer`, with a RST at once (SO_LINGER 0, socket(7))."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _address(sockname: object) -> str:
    return f"{sockname[0]}:{sockname[1]}" if isinstance(sockname, tuple) else ""
