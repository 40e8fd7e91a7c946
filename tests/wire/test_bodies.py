"""Bodies: tables first, then what must hold for every body, then another parser's opinion (h11)."""

from __future__ import annotations

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from lbproxy.wire.bodies import Body
from lbproxy.wire.headers import request_trailers
from tests.wire import bodies, strategies
from tests.wire.bodies import fed, in_short
from tests.wire.h11_peer import CHUNKED_POST, as_server


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


@given(st.data(), strategies.chunked_bodies(), st.binary(max_size=8), st.booleans(), st.booleans())
def test_any_split_of_a_chunked_body_gives_the_same(
    data: st.DataObject, body: strategies.Chunked, rest: bytes, decode: bool, bare_lf: bool
) -> None:
    """Also of a broken one, and of what follows one."""
    raw = body.loose if bare_lf else body.raw
    raw = data.draw(strategies.damaged(st.just(raw)) | st.just(raw)) + rest
    assert fed(data.draw(strategies.pieces(raw)), decode, bare_lf=bare_lf) == fed([raw], decode, bare_lf=bare_lf)


@given(strategies.chunked_bodies(), st.binary(max_size=8))
def test_a_rewritten_body_means_the_same(body: strategies.Chunked, rest: bytes) -> None:
    passed = fed([body.raw + rest])
    assert not isinstance(passed, str)
    assert passed[1:] == (len(body.raw), True)
    assert fed([passed[0]]) == (passed[0], len(passed[0]), True)
    assert fed([passed[0]], decode=True) == (body.data, len(passed[0]), True)
    assert fed([body.raw], decode=True) == (body.data, len(body.raw), True)


@given(strategies.chunked_bodies(), st.booleans(), st.binary(max_size=8))
def test_chunks_that_end_with_lf_alone_mean_the_same(body: strategies.Chunked, decode: bool, rest: bytes) -> None:
    passed = fed([body.loose + rest], decode, bare_lf=True)
    assert not isinstance(passed, str)
    assert passed == (fed([body.raw], decode)[0], len(body.loose), True)
    assert (body.loose == body.raw) is not isinstance(fed([body.loose]), str)


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
