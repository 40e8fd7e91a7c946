"""A strict, small HTTP/1 reader (RFC 9112) for the peers of the tests; it is no part of the product.

It reads what the product wrote, so it forgives nothing: a bare LF, an odd chunk size or two lengths raise
`Malformed`; a peer that ends before the message is complete raises `Cut`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

LIMIT = 1 << 20
"""The longest head that a test's peer accepts, in bytes."""

_PIECE = 1 << 16
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) (HTTP/1\.[01])")
_STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-5][0-9][0-9]) ([^\x00-\x08\x0a-\x1f\x7f]*)")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")

Fields = list[tuple[bytes, bytes]]


class Malformed(AssertionError):
    """The peer wrote something that is not HTTP/1."""


class Cut(ConnectionError):
    """The peer ended (closed or reset) before the message was complete; `clean` is False after a reset."""

    def __init__(self, text: str, clean: bool) -> None:
        super().__init__(text)
        self.clean = clean


@dataclass
class Message:
    """A head, and whatever was read of its body."""

    raw: bytes
    version: bytes
    fields: Fields
    body: bytes = b""
    trailers: Fields = field(default_factory=list)

    def all(self, name: str) -> list[bytes]:
        """The values of every line called `name` (any case), in order."""
        wanted = name.lower().encode()
        return [value for key, value in self.fields if key.lower() == wanted]

    def get(self, name: str) -> bytes | None:
        """The value of the only line called `name`; None without one."""
        values = self.all(name)
        assert len(values) <= 1, f"{len(values)} {name} lines in {self.raw!r}"
        return values[0] if values else None

    def tokens(self, name: str) -> list[bytes]:
        """The comma-separated members of every `name` line, in lower case."""
        return [item.strip().lower() for value in self.all(name) for item in value.split(b",") if item.strip()]


@dataclass
class Request(Message):
    """A request as a backend received it."""

    method: bytes = b""
    target: bytes = b""

    @property
    def has_body(self) -> bool:
        return bool(self.all("transfer-encoding")) or self.get("content-length") not in (None, b"0")


@dataclass
class Response(Message):
    """A response as a client received it; `interim` holds the 1xx answers that came before it."""

    status: int = 0
    phrase: bytes = b""
    interim: list[Response] = field(default_factory=list)

    @property
    def closes(self) -> bool:
        """Whether the connection ends with this response (RFC 9112 section 9.3)."""
        options = self.tokens("connection")
        return b"close" in options or (self.version == b"HTTP/1.0" and b"keep-alive" not in options)

    def is_bodiless(self, method: bytes) -> bool:
        """RFC 9112 section 6.3, rules 1 and 2."""
        return method == b"HEAD" or self.status < 200 or self.status in (204, 304)


async def read_request_head(reader: asyncio.StreamReader) -> Request | None:
    """The next request's head; None where the peer ended between two requests."""
    raw = await _read_head(reader)
    if raw is None:
        return None
    start, fields = _split_head(raw)
    match = _REQUEST_LINE.fullmatch(start)
    if match is None:
        raise Malformed(f"request line {start!r}")
    return Request(raw, match[3], fields, method=match[1], target=match[2])


async def read_response_head(reader: asyncio.StreamReader) -> Response:
    """The next response's head, interim ones included."""
    raw = await _read_head(reader)
    if raw is None:
        raise Cut("closed without a response", clean=True)
    start, fields = _split_head(raw)
    match = _STATUS_LINE.fullmatch(start)
    if match is None:
        raise Malformed(f"status line {start!r}")
    return Response(raw, match[1], fields, status=int(match[2]), phrase=match[3])


async def pieces(reader: asyncio.StreamReader, message: Message, to_the_end: bool) -> AsyncIterator[bytes]:
    """The body in pieces as they arrive; `to_the_end` says that no length means until the peer closes."""
    if message.all("transfer-encoding"):
        if message.tokens("transfer-encoding") != [b"chunked"] or message.all("content-length"):
            raise Malformed(f"ambiguous framing: {message.raw!r}")
        async for piece in _chunks(reader, message):
            yield piece
    elif (length := message.get("content-length")) is not None:
        async for piece in _exactly(reader, int(length)):
            yield piece
    elif to_the_end:
        while piece := await _some(reader):
            yield piece


async def read_body(reader: asyncio.StreamReader, message: Message, to_the_end: bool) -> None:
    """Read the body into `message`; what arrived before a cut stays there."""
    parts: list[bytes] = []
    try:
        async for piece in pieces(reader, message, to_the_end):
            parts.append(piece)  # noqa: PERF401 - the parts before an exception are wanted
    finally:
        message.body = b"".join(parts)


async def _read_head(reader: asyncio.StreamReader) -> bytes | None:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise Cut(f"closed inside a head: {error.partial!r}", clean=True) from None
    except ConnectionError as error:
        raise Cut("reset instead of a head", clean=False) from error


def _split_head(raw: bytes) -> tuple[bytes, Fields]:
    start, *lines = raw[:-4].split(b"\r\n")
    return start, _fields(lines)


def _fields(lines: list[bytes]) -> Fields:
    fields = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise Malformed(f"header line {line!r}")
        fields.append((match[1], match[2]))
    return fields


async def _some(reader: asyncio.StreamReader, most: int = _PIECE) -> bytes:
    try:
        return await reader.read(most)
    except ConnectionError as error:
        raise Cut("reset inside a body", clean=False) from error


async def _exactly(reader: asyncio.StreamReader, length: int) -> AsyncIterator[bytes]:
    while length:
        piece = await _some(reader, min(length, _PIECE))
        if not piece:
            raise Cut(f"closed with {length} bytes of the body missing", clean=True)
        length -= len(piece)
        yield piece


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        line = await reader.readuntil(b"\r\n")
    except asyncio.IncompleteReadError as error:
        raise Cut(f"closed inside the chunked framing: {error.partial!r}", clean=True) from None
    except ConnectionError as error:
        raise Cut("reset inside the chunked framing", clean=False) from error
    return line[:-2]


async def _chunks(reader: asyncio.StreamReader, message: Message) -> AsyncIterator[bytes]:
    while True:
        size = await _line(reader)
        if not _CHUNK_SIZE.fullmatch(size):
            raise Malformed(f"chunk size {size!r}")
        if int(size, 16) == 0:
            break
        async for piece in _exactly(reader, int(size, 16)):
            yield piece
        if await _line(reader) != b"":
            raise Malformed("no line end after a chunk")
    lines = []
    while line := await _line(reader):
        lines.append(line)
    message.trailers = _fields(lines)
