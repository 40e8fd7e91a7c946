"""The parser: tables first, then what must hold for every message, then another parser's opinion (h11)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from lbproxy import reasons
from lbproxy.reasons import Reason
from lbproxy.wire.headers import RESPONSE_FIELDS, request_fields, request_trailers
from lbproxy.wire.http1 import Body, Field, Forwarding, Framing, Limits, RequestHead, ResponseHead
from tests.wire import bodies, request_heads, response_heads, strategies
from tests.wire.bodies import fed, in_short
from tests.wire.h11_peer import (
    CHUNKED_POST,
    as_client,
    as_server,
    has_long_number,
    lines_of,
    plain,
    sent_after,
    without_empty_lines,
)

CLIENT = b"192.0.2.1"
FORWARDING = Forwarding(b"https", b"443", b"login.test")
GOOD = b"GET /good HTTP/1.1\r\nHost: login.test\r\nAuthorization: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"

PASSED = (Field.OTHER, Field.AUTHORIZATION, Field.USER_AGENT)

properties = settings(deadline=None, max_examples=200)


def request_head(
    max_head: int = 131072, max_target: int = 16384, max_lines: int = 256, underscores: bool = False
) -> RequestHead:
    return RequestHead(Limits(max_head, max_target, max_lines), request_fields(allow_underscores=underscores))


def response_head(max_head: int = 131072, bare_lf: bool = False) -> ResponseHead:
    return ResponseHead(Limits(max_head), RESPONSE_FIELDS, bare_lf)


def understood(head: RequestHead) -> tuple[object, ...]:
    """What a request means, Host, hop by hop and forwarded lines aside."""
    method, target = head.line()
    if target.startswith(b"?"):  # of an absolute-form target
        target = b"/" + target
    passed = [(name, value) for name, value, field in head.fields() if field in PASSED]
    return method, target, head.framing, head.length, passed


# --- request heads


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
def test_whether_a_client_connection_is_kept(version: bytes, connection: bytes, keeps: bool) -> None:
    head = request_head()
    assert head.read(b"GET / HTTP/%s\r\nHost: a\r\nConnection: %s\r\n\r\n" % (version, connection))
    assert head.keeps_alive() is keeps


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


# --- response heads


@pytest.mark.parametrize("name", response_heads.REFUSED)
def test_responses_that_are_refused(name: str) -> None:
    raw, reason = response_heads.REFUSED[name]
    head = response_head()
    assert head.read(response_heads.ok(response_heads.CL))
    assert head.read(raw) is reason
    with pytest.raises(ValueError, match="no head"):
        head.rewritten(b"")


@pytest.mark.parametrize("name", response_heads.ACCEPTED)
def test_responses_that_are_accepted(name: str) -> None:
    row = response_heads.ACCEPTED[name]
    head = response_head()
    assert head.read(row.raw + b"body", row.to_head) == len(row.raw)
    assert (head.framing, head.keeps_alive()) == (row.framing, row.keeps_alive)
    assert head.rewritten(b"") == row.written
    if row.framing == Framing.BY_LENGTH:
        assert head.length == row.length


@pytest.mark.parametrize("name", response_heads.BARE_LF)
def test_lines_that_end_with_lf_alone_if_that_is_wanted(name: str) -> None:
    raw, written = response_heads.BARE_LF[name]
    head = response_head(bare_lf=True)
    assert head.read(raw + b"body") == len(raw)
    assert head.rewritten(b"") == written
    assert response_head().read(raw) is reasons.BARE_LF


@pytest.mark.parametrize("name", response_heads.NEVER)
def test_what_is_refused_however_lines_may_end(name: str) -> None:
    raw, reason = response_heads.NEVER[name]
    assert response_head(bare_lf=True).read(raw) is reason


def test_no_line_of_a_request_may_end_with_lf_alone() -> None:
    with pytest.raises(TypeError):
        RequestHead(Limits(), request_fields(), True)  # type: ignore[call-arg]


@pytest.mark.parametrize("value", response_heads.CHALLENGES)
def test_challenges_of_the_connection(value: bytes) -> None:
    head = response_head()
    assert head.read(response_heads.ok(b"WWW-Authenticate: " + value))
    assert head.asks_connection_auth is response_heads.CHALLENGES[value]
    assert head.read(response_heads.ok())
    assert not head.asks_connection_auth


def test_a_connection_line_is_added() -> None:
    head = response_head()
    assert head.read(response_heads.ok(response_heads.TE, b"Connection: keep-alive"))
    assert head.rewritten(b"Connection: close\r\n", decode=True) == response_heads.ok(b"Connection: close")


def test_locations_are_rewritten() -> None:
    head = response_head()
    raw = response_heads.ok(b"Location: http://b/x", b"content-location:/y", b"X-Location: http://b/")
    assert head.read(raw)
    written = head.rewritten(b"", False, lambda value: b"https://login.test" + value[-2:])
    assert written == response_heads.ok(
        b"Location: https://login.test/x", b"content-location: https://login.test/y", b"X-Location: http://b/"
    )


def test_locations_that_grow_beyond_the_bound_are_refused() -> None:
    """A backend may send as many as fit into a head; `rewritten` has room for 4096 bytes more."""
    head = response_head()
    assert head.read(response_heads.ok(*[b"Location: http://b/"] * 100))
    assert head.rewritten(b"", False, lambda value: value + b"x" * 40).count(b"x" * 40) == 100
    with pytest.raises(OverflowError):
        head.rewritten(b"", False, lambda value: value + b"x" * 41)


def test_no_response_head_outgrows_its_bound() -> None:
    """`rewritten` asserts it; here for many lines without a space after the colon."""
    head = ResponseHead(Limits(max_lines=10_000), RESPONSE_FIELDS)
    assert head.read(b"HTTP/1.1 200\r\n" + b"a:\r\n" * 9_999 + b"Transfer-Encoding:chunked\r\n\r\n")
    assert head.rewritten(b"Connection: close\r\n").count(b"a: \r\n") == 9_999


def test_a_large_response_head_is_refused() -> None:
    head = response_head(max_head=200)
    assert head.read(response_heads.ok(b"X: " + b"x" * 200)) is reasons.HEAD_TOO_LARGE
    assert head.read(response_heads.ok(b"X: 1") + b"x" * 200) == 25


# --- bodies


@pytest.mark.parametrize("name", bodies.DIALOGUES)
def test_dialogues(name: str) -> None:
    dialogue = bodies.DIALOGUES[name]
    body = Body()
    body.begin(dialogue.framing, dialogue.length, dialogue.decode)
    for step in dialogue.steps:
        passed, used = body.feed(step.fed)
        assert (passed, step.fed[used:]) == (step.passed, step.left)
    assert body.done is dialogue.done


@pytest.mark.parametrize("raw", bodies.BAD_CHUNKS, ids=in_short)
def test_chunks_that_are_refused(raw: bytes) -> None:
    assert fed([raw]) == "bad chunk"
    assert fed([raw], decode=True) == "bad chunk"
    assert fed([raw[i : i + 1] for i in range(len(raw))]) == "bad chunk"


@pytest.mark.parametrize("raw", bodies.BAD_TRAILERS, ids=in_short)
def test_trailers_that_are_refused(raw: bytes) -> None:
    assert fed([raw]) == "bad trailer"
    assert fed([raw[i : i + 1] for i in range(len(raw))]) == "bad trailer"


@pytest.mark.parametrize("raw", bodies.BARE_LF, ids=in_short)
def test_chunks_that_end_with_lf_alone_if_that_is_wanted(raw: bytes) -> None:
    passed = (bodies.BARE_LF[raw], len(raw), True)
    assert fed([raw + b"\r\nNEXT"], bare_lf=True) == passed
    assert fed([raw[i : i + 1] for i in range(len(raw))], bare_lf=True) == passed
    assert isinstance(fed([raw]), str)


@pytest.mark.parametrize("raw", bodies.NEVER, ids=in_short)
def test_chunks_that_are_refused_however_lines_may_end(raw: bytes) -> None:
    assert fed([raw], bare_lf=True) == "bad chunk"
    assert fed([raw[i : i + 1] for i in range(len(raw))], bare_lf=True) == "bad chunk"


@pytest.mark.parametrize("name", bodies.NEVER_LATE)
def test_what_frames_routes_or_identifies_is_not_passed_on_late(name: bytes) -> None:
    raw = b"0\r\nA: 1\r\n%s: evil\r\nb: 2\r\n\r\n" % name
    assert fed([raw], table=request_trailers(["X-Mine"])) == (b"0\r\nA: 1\r\nb: 2\r\n\r\n", len(raw), True)


# --- what must hold for every message


@properties
@given(strategies.request_heads() | strategies.damaged(strategies.request_heads()) | st.binary())
def test_any_split_of_a_request_head_gives_the_same(raw: bytes) -> None:
    """0 until it is complete, then its size; or 0 until it is refused, for one reason."""
    _grows_to_one_result(request_head(max_head=150, max_target=40, max_lines=6), raw)


@properties
@given(strategies.response_heads() | strategies.damaged(strategies.response_heads()) | st.binary())
def test_any_split_of_a_response_head_gives_the_same(raw: bytes) -> None:
    for bare_lf in (False, True):
        _grows_to_one_result(response_head(100, bare_lf), raw)


def _grows_to_one_result(head: RequestHead | ResponseHead, raw: bytes) -> None:
    results = [head.read(raw[:size]) for size in range(len(raw) + 1)]
    assert results[0] == 0
    for before, after in pairwise(results):
        assert before in (0, after)
    assert isinstance(results[-1], Reason) or results[-1] <= len(raw)


@properties
@given(st.data(), strategies.chunked_bodies(), st.binary(max_size=8), st.booleans(), st.booleans())
def test_any_split_of_a_chunked_body_gives_the_same(
    data: st.DataObject, body: strategies.Chunked, rest: bytes, decode: bool, bare_lf: bool
) -> None:
    """Also of a broken one, and of what follows one."""
    raw = body.loose if bare_lf else body.raw
    raw = data.draw(strategies.damaged(st.just(raw)) | st.just(raw)) + rest
    assert fed(data.draw(strategies.pieces(raw)), decode, bare_lf=bare_lf) == fed([raw], decode, bare_lf=bare_lf)


@properties
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


@properties
@given(strategies.response_heads(), st.booleans())
def test_a_rewritten_response_means_the_same(raw: bytes, to_head: bool) -> None:
    head, again = response_head(), response_head()
    assert head.read(raw, to_head) == len(raw)
    written = head.rewritten(b"")
    assert again.read(written, to_head) == len(written)
    assert (again.status, again.framing) == (head.status, head.framing)
    assert again.rewritten(b"") == written


@properties
@given(strategies.chunked_bodies(), st.binary(max_size=8))
def test_a_rewritten_body_means_the_same(body: strategies.Chunked, rest: bytes) -> None:
    passed = fed([body.raw + rest])
    assert not isinstance(passed, str)
    assert passed[1:] == (len(body.raw), True)
    assert fed([passed[0]]) == (passed[0], len(passed[0]), True)
    assert fed([passed[0]], decode=True) == (body.data, len(passed[0]), True)
    assert fed([body.raw], decode=True) == (body.data, len(body.raw), True)


@properties
@given(st.data(), strategies.response_heads() | strategies.damaged(strategies.response_heads()), st.booleans())
def test_lines_that_end_with_lf_alone_mean_the_same(data: st.DataObject, raw: bytes, to_head: bool) -> None:
    strict, lenient = response_head(), response_head(bare_lf=True)
    size = strict.read(raw, to_head)
    if not isinstance(size, int) or size == 0:
        reject()
    loose = data.draw(strategies.with_bare_lf(raw[:size]))
    assert lenient.read(loose + b"\nbody", to_head) == len(loose)
    assert (lenient.framing, lenient.fields()) == (strict.framing, strict.fields())
    assert lenient.rewritten(b"") == strict.rewritten(b"")
    assert strict.read(loose, to_head) == (len(loose) if loose == raw[:size] else reasons.BARE_LF)


@properties
@given(strategies.chunked_bodies(), st.booleans(), st.binary(max_size=8))
def test_chunks_that_end_with_lf_alone_mean_the_same(body: strategies.Chunked, decode: bool, rest: bytes) -> None:
    passed = fed([body.loose + rest], decode, bare_lf=True)
    assert not isinstance(passed, str)
    assert passed == (fed([body.raw], decode)[0], len(body.loose), True)
    assert (body.loose == body.raw) is not isinstance(fed([body.loose]), str)


# --- another parser's opinion: whatever is accepted here means the same to it, and ends where it ends here


@properties
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


@properties
@given(strategies.response_heads() | strategies.damaged(strategies.response_heads()), st.booleans())
def test_h11_understands_responses_alike(raw: bytes, to_head: bool) -> None:
    head = response_head()
    size = head.read(raw, to_head)
    if not isinstance(size, int) or size == 0 or head.status == 101 or has_long_number(raw):
        reject()
    body, data, following = sent_after(head)
    if head.framing == Framing.UNTIL_CLOSE:
        data, following = b"NEXT", b""
        body = data
    for sent in (raw[:size], head.rewritten(b"")):
        received = as_client(sent + body + following, b"HEAD" if to_head else b"GET")
        assert received.first == (b"%d" % head.status,)
        assert (received.data, received.done, received.rest) == (data, bool(following), following)
    assert plain(as_client(raw[:size], b"HEAD" if to_head else b"GET").headers) == lines_of(head)


@properties
@given(st.data(), strategies.chunked_bodies().map(lambda body: body.raw), st.binary(max_size=8))
def test_h11_understands_chunks_alike(data: st.DataObject, raw: bytes, rest: bytes) -> None:
    raw = data.draw(strategies.damaged(st.just(raw)) | st.just(raw)) + rest
    passed, decoded = fed([raw]), fed([raw], decode=True)
    assert isinstance(passed, str) == isinstance(decoded, str)
    if isinstance(passed, str) or isinstance(decoded, str):
        reject()
    left = raw[passed[1] :]
    received = as_server(CHUNKED_POST + raw)
    assert (received.data, received.done, received.rest) == (decoded[0], decoded[2], left)
    again = as_server(CHUNKED_POST + passed[0] + left)
    assert (again.data, again.done, again.rest) == (decoded[0], decoded[2], left)
