"""Request heads: tables first, then what must hold for every head, then another parser's opinion (h11)."""

from __future__ import annotations

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from lbproxy import reasons
from lbproxy.reasons import Reason
from lbproxy.wire.fields import Field, Limits
from lbproxy.wire.headers import request_fields
from lbproxy.wire.heads import Framing
from lbproxy.wire.request_heads import Forwarding, RequestHead
from tests.wire import request_heads, strategies
from tests.wire.h11_peer import as_server, has_long_number, lines_of, plain, sent_after, without_empty_lines
from tests.wire.parsers import CLIENT, FORWARDING, grows_to_one_result, request_head, understood

GOOD = b"GET /good HTTP/1.1\r\nHost: login.test\r\nAuthorization: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("name", request_heads.REFUSED)
def test_requests_that_are_refused(name: str) -> None:
    raw, reason = request_heads.REFUSED[name]
    assert request_head(underscores=True).read(raw) is reason


@pytest.mark.parametrize("name", request_heads.ACCEPTED)
def test_requests_that_are_accepted(name: str) -> None:
    raw, written = request_heads.ACCEPTED[name]
    head = request_head()
    assert head.read(raw + b"GET /next") == len(raw)
    assert head.rewritten(FORWARDING, CLIENT) == written


@pytest.mark.parametrize("name", request_heads.REFUSED)
def test_a_refused_head_leaves_nothing_of_the_one_before(name: str) -> None:
    """Its buffer may be gone, or be another client's by then."""
    raw, reason = request_heads.REFUSED[name]
    head, fresh = request_head(underscores=True), request_head(underscores=True)
    assert head.read(GOOD) == len(GOOD)
    assert head.read(raw) is fresh.read(raw) is reason
    assert understood(head) == understood(fresh)
    assert b"/good" not in head.line()
    with pytest.raises(ValueError, match="no head"):
        head.rewritten(FORWARDING, CLIENT)


def test_an_incomplete_head_leaves_nothing_of_the_one_before() -> None:
    head = request_head()
    head.read(GOOD)
    assert head.read(b"GET /new") == 0
    assert understood(head) == (b"", b"", Framing.NO_BODY, 0, [])


def test_a_head_keeps_what_it_read() -> None:
    head = request_head()
    head.read(b"GET /x HTTP/1.1\r\n" + b"Host: login.test\r\nX-A: %s\r\n\r\n" % (b"a" * 600))
    assert [bytearray(700) for _ in range(50)]
    assert head.fields() == [(b"Host", b"login.test", Field.HOST), (b"X-A", b"a" * 600, Field.OTHER)]
    assert head.values(Field.HOST) == [b"login.test"]
    assert head.values(Field.EXPECT) == []


def test_no_line_of_a_request_may_end_with_lf_alone() -> None:
    with pytest.raises(TypeError):
        RequestHead(Limits(), request_fields(), True)  # type: ignore[call-arg]


def _long(path: int = 1, method: int = 3, lines: int = 0) -> bytes:
    return b"%s /%s HTTP/1.1\r\nHost: a\r\n%s\r\n" % (b"G" * method, b"x" * (path - 1), b"a:b\r\n" * lines)


@pytest.mark.parametrize(
    ("raw", "result"),
    [
        (_long(path=100), None),
        (_long(path=101), reasons.TARGET_TOO_LONG),
        (_long(path=100, method=53), None),
        (_long(path=100, method=54), reasons.TARGET_TOO_LONG),
        (b"G" * 165, reasons.TARGET_TOO_LONG),
        (_long(lines=7), None),
        (_long(lines=8), reasons.TOO_MANY_FIELDS),
        (_long(lines=7)[:-2] + b"x" * 500, reasons.HEAD_TOO_LARGE),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n" % (b"x" * 468), None),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n" % (b"x" * 469), reasons.HEAD_TOO_LARGE),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: %s\0\r\n\r\n" % (b"x" * 600), reasons.HEAD_TOO_LARGE),
    ],
)
def test_limits(raw: bytes, result: Reason | None) -> None:
    head = request_head(max_head=500, max_target=100, max_lines=8)
    assert head.read(raw) == (len(raw) if result is None else result)


_FORWARDED = [
    b"X_Forwarded_For: evil",
    b"X-Forwarded-User: evil",
    b"X-Forwarded-For: 198.51.100.7, 203.0.113.9",
    b"x-forwarded-for:",
    b"X-Forwarded-Proto: http",
    b"X-Forwarded-Host: other.test",
    b"X-Forwarded-For: 203.0.113.10",
    b"X-Forwarded-Prefix: /a",
    b"Forwarded: for=198.51.100.7",
]


def test_what_a_trusted_peer_forwards_is_kept() -> None:
    head = request_head()
    assert head.read(request_heads.head(request_heads.HOST, *_FORWARDED))
    assert head.rewritten(FORWARDING, CLIENT, trusted=True) == request_heads.head(
        request_heads.HOST,
        b"X-Forwarded-For: 198.51.100.7, 203.0.113.9, 203.0.113.10, 192.0.2.1",
        b"X-Forwarded-Proto: http",
        b"X-Forwarded-Host: other.test",
        b"X-Forwarded-Prefix: /a",
        b"Forwarded: for=198.51.100.7",
        b"X-Forwarded-Port: 443",
    )


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("line", [b"a:b", b"a:", b"X-Forwarded-For:1", b"X-Forwarded-Port:1", b"Forwarded:", b"TE:"])
@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.0\r\n",
        b"GET http://h HTTP/1.1\r\nHost:h\r\nExpect:100-continue\r\n",
        b"GET / HTTP/1.1\r\nHost:%s\r\n" % (b"h" * 2000),
    ],
    ids=["no Host", "absolute-form", "long Host"],
)
def test_no_head_outgrows_its_bound(first: bytes, line: bytes, trusted: bool) -> None:
    """`rewritten` asserts it; here for heads that grow most."""
    head = request_head(max_lines=10_000)
    raw = first + (line + b"\r\n") * 5_000 + b"\r\n"
    assert head.read(raw) == len(raw)
    assert head.rewritten(Forwarding(b"https", b"65535", b"h" * 300), b"f" * 45, trusted).endswith(b"\r\n\r\n")


@pytest.mark.parametrize("trusted", [False, True])
def test_the_id_is_counted_in_the_bound(trusted: bool) -> None:
    named, sent = Forwarding(b"https", b"443", b"login.test", request_id=b"X-" + b"i" * 62), b"i" * 128
    head = RequestHead(Limits(), request_fields(request_id=named.request_id.decode()))
    assert head.read(b"GET / HTTP/1.1\r\nHost:h\r\n%b: %b\r\n\r\n" % (named.request_id, sent))
    written = head.rewritten(named, CLIENT, trusted, bytes(range(16)))
    assert named.request_id + b": " + (sent if trusted else b"000102030405060708090a0b0c0d0e0f") in written
    with pytest.raises(ValueError, match="16 bytes"):
        head.rewritten(named, CLIENT, trusted)


@given(strategies.request_heads() | strategies.damaged(strategies.request_heads()) | st.binary())
def test_any_split_of_a_request_head_gives_the_same(raw: bytes) -> None:
    """0 until it is complete, then its size; or 0 until it is refused, for one reason."""
    grows_to_one_result(request_head(max_head=150, max_target=40, max_lines=6), raw)


@given(strategies.request_heads(), st.booleans(), st.booleans())
def test_a_rewritten_request_means_the_same(raw: bytes, trusted: bool, underscores: bool) -> None:
    head, again = request_head(underscores=underscores), request_head(underscores=underscores)
    assert head.read(raw) == len(raw)
    written = head.rewritten(FORWARDING, CLIENT, trusted)
    assert again.read(written) == len(written)
    assert again.minor == 1
    assert understood(again) == understood(head)
    if not trusted:
        assert again.rewritten(FORWARDING, CLIENT) == written


@given(strategies.request_heads() | strategies.damaged(strategies.request_heads()))
def test_h11_understands_requests_alike(raw: bytes) -> None:
    head = request_head()
    size = head.read(raw)
    if not isinstance(size, int) or size == 0 or has_long_number(raw):
        reject()
    body, data, following = sent_after(head)
    for sent in (without_empty_lines(raw[:size]), head.rewritten(FORWARDING, CLIENT)):
        received = as_server(sent + body + following)
        assert (received.data, received.done, received.rest) == (data, bool(following), following)
    assert received.first == head.line()[:1] + received.first[1:]
    assert plain(as_server(without_empty_lines(raw[:size]) + body).headers) == lines_of(head)
