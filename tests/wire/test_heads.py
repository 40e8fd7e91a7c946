"""What both kinds of head say of their connection and of their body."""

from __future__ import annotations

import pytest

from lbproxy import reasons
from lbproxy.reasons import Reason
from lbproxy.wire.heads import Framing
from lbproxy.wire.request_heads import RequestHead
from lbproxy.wire.response_heads import ResponseHead
from tests.wire.parsers import request_head, response_head

FIRST = {"request": b"POST /x HTTP/%s\r\nHost: a\r\n", "response": b"HTTP/%s 200 OK\r\n"}


def read(kind: str, *lines: bytes, version: bytes = b"1.1") -> tuple[RequestHead | ResponseHead, Reason | None]:
    """A head of this kind with these lines, and why it is refused, if it is."""
    head = request_head() if kind == "request" else response_head()
    raw = FIRST[kind] % version + b"".join(line + b"\r\n" for line in (*lines, b""))
    result = head.read(raw)
    if not isinstance(result, Reason):
        assert result == len(raw)
        return head, None
    return head, result


@pytest.mark.parametrize(
    ("version", "connection", "keeps"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"keep-alive", True),
        (b"1.1", b"x, Close", False),
        (b"1.1", b"close, keep-alive", False),
        (b"1.0", b"", False),
        (b"1.0", b"Keep-Alive", True),
        (b"1.0", b"keep-alive, close", False),
        (b"1.2", b"", True),
        (b"1.2", b"close", False),
    ],
)
@pytest.mark.parametrize("kind", FIRST)
def test_whether_a_connection_is_kept(kind: str, version: bytes, connection: bytes, keeps: bool) -> None:
    head, refused = read(kind, b"Content-Length: 0", b"Connection: " + connection, version=version)
    assert refused is None
    assert head.keeps_alive() is keeps


@pytest.mark.parametrize(
    ("lines", "framing", "length"),
    [
        ([b"Content-Length: 0"], Framing.BY_LENGTH, 0),
        ([b"Content-Length: 003"], Framing.BY_LENGTH, 3),
        ([b"content-length:999999999999999999"], Framing.BY_LENGTH, 10**18 - 1),
        ([b"Transfer-Encoding: Chunked"], Framing.CHUNKED, 0),
    ],
)
@pytest.mark.parametrize("kind", FIRST)
def test_how_a_body_is_framed(kind: str, lines: list[bytes], framing: Framing, length: int) -> None:
    head, refused = read(kind, *lines)
    assert (refused, head.framing, head.length) == (None, framing, length)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([b"Content-Length: 1000000000000000000"], reasons.BAD_LENGTH),
        ([b"Content-Length: +3"], reasons.BAD_LENGTH),
        ([b"Content-Length: 3", b"Content-Length: 3"], reasons.BAD_LENGTH),
        ([b"Content-Length: 3", b"Transfer-Encoding: chunked"], reasons.LENGTH_AND_CHUNKED),
        ([b"Transfer-Encoding: chunked", b"Content-Length: 3"], reasons.LENGTH_AND_CHUNKED),
        ([b"Transfer-Encoding: gzip, chunked"], reasons.BAD_TRANSFER_ENCODING),
        ([b"Connection: close;x"], reasons.BAD_FIELD_VALUE),
        ([b"Connection: " + b"x," * 33], reasons.BAD_FIELD_VALUE),
    ],
)
@pytest.mark.parametrize("kind", FIRST)
def test_framing_that_two_parsers_could_take_for_two_things(kind: str, lines: list[bytes], reason: Reason) -> None:
    assert read(kind, *lines)[1] is reason


@pytest.mark.parametrize("kind", FIRST)
def test_lines_that_connection_names_are_hop_by_hop(kind: str) -> None:
    head, refused = read(kind, b"X-A: 1", b"Connection: x_a, content-length, X-B", b"Content-Length: 3", b"x-B: 2")
    assert refused is None
    assert [name for name, _, field in head.fields() if field == 1] == [b"X-A", b"x-B"]
    assert head.framing == Framing.BY_LENGTH
