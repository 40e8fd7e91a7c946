"""What a backend does wrong, and what the policy is told of it."""

from __future__ import annotations

import pytest

from lbproxy import reasons
from lbproxy.reasons import Reason
from tests.net.dialogue import MAX_HEAD, Step, answer, forwarded, head, play, refusal, request
from tests.net.http.conftest import Converse
from tests.net.http.scenes import A_GET, CHUNKED, CLOSE, HINTS, SENT, SWITCHED
from tests.net.peers import until

FAILURES: dict[str, tuple[list[Step], Reason]] = {
    "closed before a byte": ([("B>.", b"")], reasons.LANE_LOST),
    "reset before a byte": ([("B>!", b"")], reasons.LANE_LOST),
    "closed inside the head": ([("B>", b"HTTP/1.1 200 OK\r\nA:"), ("B>.", b"")], reasons.RESPONSE_CUT_HEAD),
    "closed after a 1xx": ([("B>", HINTS), (">C", HINTS), ("B>.", b"")], reasons.RESPONSE_CUT_HEAD),
    "not HTTP": ([("B>", b"SSH-2.0-OpenSSH\r\n")], reasons.RESPONSE_MALFORMED),
    "not HTTP after a while": ([("B>", b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n")], reasons.RESPONSE_MALFORMED),
    "smuggling": ([("B>", head(CHUNKED, b"Content-Length: 5"))], reasons.RESPONSE_MALFORMED),
    "too large": ([("B>", b"HTTP/1.1 200 OK\r\nA: " + b"x" * MAX_HEAD)], reasons.RESPONSE_TOO_LARGE),
    "too many lines": ([("B>", head(*[b"A: b"] * 100))], reasons.RESPONSE_TOO_LARGE),
    "a 101 that nobody asked for": ([("B>", SWITCHED)], reasons.RESPONSE_UNASKED),
    "1xx without end": ([("B>", HINTS * 17), (">C", HINTS * 16)], reasons.RESPONSE_MALFORMED),
}


@pytest.mark.parametrize("piece", [1 << 30, 1], ids=["whole", "bytes"])
@pytest.mark.parametrize("name", FAILURES)
async def test_a_lane_that_fails_before_the_answer(converse: Converse, name: str, piece: int) -> None:
    steps, reason = FAILURES[name]
    dialogue = converse(lanes=2)
    await play(dialogue, SENT)
    await play(dialogue, steps, piece)
    await dialogue.told("lane_failed", reason)
    await until(lambda: dialogue.ends == [reason])
    await dialogue.client.sees(refusal(reason, keep=True))
    dialogue.backend = dialogue.backends[1]
    await play(dialogue, A_GET)


async def test_a_lane_that_was_used_before_is_stale(converse: Converse) -> None:
    dialogue = converse()
    dialogue.policy.fresh = False
    await play(dialogue, [*SENT, ("B>.", b"")])
    await dialogue.told("lane_failed", reasons.LANE_STALE)


@pytest.mark.parametrize("failure", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"])
async def test_the_same_head_goes_to_the_next_lane(converse: Converse, failure: bytes) -> None:
    dialogue = converse(lanes=3)
    dialogue.policy.retries = True
    await dialogue.client.send(request() + request(b"GET /next"))
    for backend in dialogue.backends[:2]:
        await backend.sees(forwarded())
        await backend.send(failure)
        backend.finish()
    await dialogue.backends[2].sees(forwarded())
    await dialogue.backends[2].send(answer(b"third"))
    await dialogue.client.sees(answer(b"third"))
    await dialogue.backends[2].sees(forwarded(b"GET /next"))


CUTS: dict[str, tuple[list[Step], Reason]] = {
    "closed inside a body": ([("B>", head(b"Content-Length: 5") + b"he"), ("B>.", b"")], reasons.RESPONSE_CUT_BODY),
    "reset inside a body": (
        [("B>", head(b"Content-Length: 5") + b"he"), (">C", head(b"Content-Length: 5") + b"he"), ("B>!", b"")],
        reasons.RESPONSE_CUT_BODY,
    ),
    "closed inside chunks": ([("B>", head(CHUNKED) + b"5\r\nhe"), ("B>.", b"")], reasons.RESPONSE_CUT_BODY),
    "closed before the last chunk": (
        [("B>", head(CHUNKED) + b"5\r\nhello\r\n"), ("B>.", b"")],
        reasons.RESPONSE_CUT_BODY,
    ),
    "reset in an answer without a length": (
        [("B>", head() + b"he"), (">C", head(CLOSE) + b"he"), ("B>!", b"")],
        reasons.RESPONSE_CUT_BODY,
    ),
    "a bad chunk": ([("B>", head(CHUNKED) + b"5\r\nhelloX")], reasons.RESPONSE_BAD_BODY),
    "a bad chunk with the head": ([("B>", head(CHUNKED) + b"X")], reasons.RESPONSE_BAD_BODY),
    "a bad trailer": ([("B>", head(CHUNKED) + b"0\r\nX : y\r\n\r\n")], reasons.RESPONSE_BAD_BODY),
}


@pytest.mark.parametrize("piece", [1 << 30, 1], ids=["whole", "bytes"])
@pytest.mark.parametrize("name", CUTS)
async def test_an_answer_that_is_cut_is_cut_visibly(converse: Converse, name: str, piece: int) -> None:
    steps, reason = CUTS[name]
    dialogue = converse()
    await play(dialogue, SENT)
    await play(dialogue, steps, piece)
    await dialogue.client.is_reset()
    assert dialogue.told_of("finished", "ended") == [("finished", reason, False), ("ended", None)]


@pytest.mark.parametrize(
    "extra", [answer(b"evil"), b"\r\n", b"0\r\n\r\n"], ids=["a second answer", "an empty line", "a chunk"]
)
@pytest.mark.parametrize("method", [b"GET /x", b"HEAD /x"])
async def test_bytes_behind_an_answer_never_answer_the_next_request(
    converse: Converse, extra: bytes, method: bytes
) -> None:
    dialogue = converse(lanes=2)
    body = b"ok" if method == b"GET /x" else b""
    await dialogue.client.send(request(method) * 2)
    await dialogue.backend.sees(forwarded(method))
    await dialogue.backend.send(head(b"Content-Length: 2") + body + extra)
    await dialogue.client.sees(head(b"Content-Length: 2") + body)
    await dialogue.told("finished", reasons.DONE, False)
    await dialogue.backends[1].sees(forwarded(method))
    await dialogue.backends[1].send(answer(b"no")[: None if body else -2])
    await dialogue.client.sees(answer(b"no")[: None if body else -2])
