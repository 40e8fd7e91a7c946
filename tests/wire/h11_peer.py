"""h11, another strict HTTP/1.1 parser, as a second opinion: what it makes of the same bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import h11

from lbproxy.wire.heads import Framing
from lbproxy.wire.request_heads import RequestHead
from lbproxy.wire.response_heads import ResponseHead

LARGE = 1 << 20  # bytes of a head; ours are limited before

CHUNKED_POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


class Received(NamedTuple):
    """first: the request line's or status line's parts; done: the message is complete; rest: bytes after it."""

    first: tuple[bytes, ...]
    headers: list[tuple[bytes, bytes]]
    data: bytes
    done: bool
    rest: bytes


def as_server(raw: bytes) -> Received:
    """One request; raises h11.RemoteProtocolError when h11 refuses it."""
    peer = h11.Connection(h11.SERVER, LARGE)
    peer.receive_data(raw)
    head = peer.next_event()
    assert isinstance(head, h11.Request)
    return _received(peer, (head.method, head.target), head.headers)


def as_client(raw: bytes, method: bytes) -> Received:
    """The response to a request with this method; a 1xx counts as a message."""
    peer = h11.Connection(h11.CLIENT, LARGE)
    peer.send(h11.Request(method=method, target=b"/", headers=[(b"Host", b"a")]))
    peer.send(h11.EndOfMessage())
    peer.receive_data(raw)
    head = peer.next_event()
    assert isinstance(head, h11.Response | h11.InformationalResponse)
    first = (b"%d" % head.status_code,)
    if isinstance(head, h11.InformationalResponse):
        return Received(first, list(head.headers), b"", True, peer.trailing_data[0])
    return _received(peer, first, head.headers)


def _received(peer: h11.Connection, first: tuple[bytes, ...], headers: Iterable[tuple[bytes, bytes]]) -> Received:
    data = b""
    while True:
        event = peer.next_event()
        if isinstance(event, h11.Data):
            data += event.data
        else:
            done = isinstance(event, h11.EndOfMessage)
            return Received(first, list(headers), data, done, peer.trailing_data[0] if done else b"")


def sent_after(head: RequestHead | ResponseHead) -> tuple[bytes, bytes, bytes]:
    """What may follow a head: (a body, the data in it, the next message, or nothing when the body is not whole)."""
    if head.framing == Framing.CHUNKED:
        return b"2;x=y\r\nab\r\n0\r\nA: 1\r\n\r\n", b"ab", b"NEXT"
    if head.framing == Framing.BY_LENGTH:
        data = b"x" * min(head.length, 20)
        return data, data, b"NEXT" if head.length <= 20 else b""
    return b"", b"", b"NEXT"


def lines_of(head: RequestHead | ResponseHead) -> list[tuple[bytes, bytes]]:
    """The header lines as h11 gives them, Content-Length without leading zeros (see `plain`)."""
    found = [(name.lower(), value) for name, value, _ in head.fields()]
    return [(name, value.lower() if name == b"transfer-encoding" else value) for name, value in found]


def plain(lines: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """h11's header lines with the one thing that is rewritten here and kept there: leading zeros of Content-Length."""
    return [(name, b"%d" % int(value) if name == b"content-length" else value) for name, value in lines]


def has_long_number(raw: bytes) -> bool:
    """Whether a head has more digits in a row than the 20 that h11 takes for a Content-Length, zeros included."""
    return re.search(rb"[0-9]{21}", raw) is not None


def without_empty_lines(raw: bytes) -> bytes:
    """h11 wants none before a request."""
    return without_empty_lines(raw[2:]) if raw.startswith(b"\r\n") else raw
