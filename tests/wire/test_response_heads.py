"""Response heads: tables first, then what must hold for every head, then another parser's opinion (h11)."""

from __future__ import annotations

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from lbproxy import reasons
from lbproxy.wire.fields import Limits
from lbproxy.wire.headers import RESPONSE_FIELDS
from lbproxy.wire.heads import Framing
from lbproxy.wire.response_heads import ResponseHead
from tests.wire import response_heads, strategies
from tests.wire.h11_peer import as_client, has_long_number, lines_of, plain, sent_after
from tests.wire.parsers import grows_to_one_result, response_head


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


def test_locations_may_grow() -> None:
    """A backend may send as many as fit into a head; the room is made for what they have become."""
    head = response_head()
    assert head.read(response_heads.ok(*[b"Location: http://b/"] * 100))
    assert (
        head.rewritten(b"", False, lambda value: value + b"x" * 4096).count(b"http://b/" + b"x" * 4096 + b"\r\n") == 100
    )
    assert head.read(response_heads.ok(b"Location: http://b/"))
    assert head.rewritten(b"") == response_heads.ok(b"Location: http://b/")


def test_a_location_that_cannot_be_rewritten() -> None:
    def fails(value: bytes) -> bytes:
        raise RuntimeError(value)

    head = response_head()
    assert head.read(response_heads.ok(b"Location: http://b/"))
    with pytest.raises(RuntimeError, match="http://b/"):
        head.rewritten(b"", False, fails)
    with pytest.raises(TypeError):
        head.rewritten(b"", False, lambda value: value.decode())  # type: ignore[arg-type, return-value]


def test_no_response_head_outgrows_its_bound() -> None:
    """`rewritten` asserts it; here for many lines without a space after the colon."""
    head = ResponseHead(Limits(max_lines=10_000), RESPONSE_FIELDS)
    assert head.read(b"HTTP/1.1 200\r\n" + b"a:\r\n" * 9_999 + b"Transfer-Encoding:chunked\r\n\r\n")
    assert head.rewritten(b"Connection: close\r\n").count(b"a: \r\n") == 9_999


def test_a_large_response_head_is_refused() -> None:
    head = response_head(max_head=200)
    assert head.read(response_heads.ok(b"X: " + b"x" * 200)) is reasons.HEAD_TOO_LARGE
    assert head.read(response_heads.ok(b"X: 1") + b"x" * 200) == 25


@given(strategies.response_heads() | strategies.damaged(strategies.response_heads()) | st.binary())
def test_any_split_of_a_response_head_gives_the_same(raw: bytes) -> None:
    for bare_lf in (False, True):
        grows_to_one_result(response_head(100, bare_lf), raw)


@given(strategies.response_heads(), st.booleans())
def test_a_rewritten_response_means_the_same(raw: bytes, to_head: bool) -> None:
    head, again = response_head(), response_head()
    assert head.read(raw, to_head) == len(raw)
    written = head.rewritten(b"")
    assert again.read(written, to_head) == len(written)
    assert (again.status, again.framing) == (head.status, head.framing)
    assert again.rewritten(b"") == written


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
