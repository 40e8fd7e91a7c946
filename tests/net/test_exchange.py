from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest

from lbproxy import reasons
from lbproxy.net.exchange import Phase
from lbproxy.net.stream import Poller
from lbproxy.reasons import Reason
from tests.net.dialogue import (
    HEADER_TIMEOUT,
    IDLE_TIMEOUT,
    MAX_HEAD,
    RESPONSE_TIMEOUT,
    Dialogue,
    Step,
    answer,
    forwarded,
    head,
    make_site,
    nobody_waits_for_ever,
    play,
    refusal,
    request,
)
from tests.net.peers import until

CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
CLOSE = b"Connection: close"
KEEP = b"Connection: keep-alive"
UPGRADE = (b"Connection: upgrade", b"Upgrade: websocket")
HINTS = head(b"Link: </a>", status=b"103 Early Hints")
SWITCHED = head(*UPGRADE, status=b"101 Switching Protocols")

Converse = Callable[..., Dialogue]


@pytest.fixture
async def converse(poller: Poller) -> AsyncIterator[Converse]:
    """`converse(lanes=1, slow="")` begins a dialogue on the test's one site, made with any other arguments."""
    begun: list[Dialogue] = []

    def begin(lanes: int = 1, slow: str = "", **options: Any) -> Dialogue:
        site = begun[0].site if begun else make_site(**options)
        begun.append(Dialogue(poller, site, lanes, slow))
        return begun[-1]

    yield begin
    for dialogue in begun:
        dialogue.close()


# --- what passes. Each dialogue is also played in pieces of one byte.

KEPT, CLIENT_ENDS, LANE_ENDS, BOTH_END = (True, True), (False, True), (True, False), (False, False)
"""What is left after an answer: (client connection, lane)."""

PASSES: dict[str, tuple[list[Step], tuple[bool, bool]]] = {
    "a get": ([("C>", request()), (">B", forwarded()), ("B>", answer(b"hello")), (">C", answer(b"hello"))], KEPT),
    "empty lines before a request": (
        [("C>", b"\r\n\r\n" + request()), (">B", forwarded()), ("B>", answer()), (">C", answer())],
        KEPT,
    ),
    "a body with a length": (
        [
            ("C>", request(b"POST /x", b"Content-Length: 5", body=b"hello")),
            (">B", forwarded(b"POST /x", b"Content-Length: 5", body=b"hello")),
            ("B>", answer(b"ok")),
            (">C", answer(b"ok")),
        ],
        KEPT,
    ),
    "chunks both ways": (
        [
            ("C>", request(b"POST /x", CHUNKED, body=CHUNKS)),
            (">B", forwarded(b"POST /x", CHUNKED, body=CHUNKS)),
            ("B>", head(CHUNKED) + CHUNKS),
            (">C", head(CHUNKED) + CHUNKS),
        ],
        KEPT,
    ),
    "trailers both ways": (
        [
            ("C>", request(b"POST /x", CHUNKED, body=b"1\r\nx\r\n0\r\nDigest: 1\r\nHost: evil\r\n\r\n")),
            (">B", forwarded(b"POST /x", CHUNKED, body=b"1\r\nx\r\n0\r\nDigest: 1\r\n\r\n")),
            ("B>", head(CHUNKED) + b"0\r\nServer-Timing: x\r\n\r\n"),
            (">C", head(CHUNKED) + b"0\r\nServer-Timing: x\r\n\r\n"),
        ],
        KEPT,
    ),
    "an answer to HEAD has no body": (
        [
            ("C>", request(b"HEAD /x")),
            (">B", forwarded(b"HEAD /x")),
            ("B>", head(b"Content-Length: 5")),
            (">C", head(b"Content-Length: 5")),
        ],
        KEPT,
    ),
    "204 has no body": (
        [
            ("C>", request()),
            (">B", forwarded()),
            ("B>", head(status=b"204 No Content")),
            (">C", head(status=b"204 No Content")),
        ],
        KEPT,
    ),
    "304 has no body": (
        [
            ("C>", request()),
            (">B", forwarded()),
            ("B>", head(b"Content-Length: 5", status=b"304 Not Modified")),
            (">C", head(b"Content-Length: 5", status=b"304 Not Modified")),
        ],
        KEPT,
    ),
    "Expect: 100-continue": (
        [
            ("C>", request(b"POST /x", b"Content-Length: 5", b"Expect: 100-continue")),
            (">B", forwarded(b"POST /x", b"Content-Length: 5", b"Expect: 100-continue")),
            ("B>", head(status=b"100 Continue")),
            (">C", head(status=b"100 Continue")),
            ("C>", b"hello"),
            (">B", b"hello"),
            ("B>", answer(b"ok")),
            (">C", answer(b"ok")),
        ],
        KEPT,
    ),
    "several 1xx before the answer": (
        [
            ("C>", request()),
            (">B", forwarded()),
            ("B>", HINTS * 3 + answer(b"ok")),
            (">C", HINTS * 3 + answer(b"ok")),
        ],
        KEPT,
    ),
    "no 1xx to HTTP/1.0": (
        [
            ("C>", request(version=b"HTTP/1.0")),
            (">B", forwarded()),
            ("B>", HINTS + answer(b"ok")),
            (">C", answer(b"ok", CLOSE)),
            (">C.", b""),
        ],
        CLIENT_ENDS,
    ),
    "HTTP/1.0 that keeps its connection": (
        [
            ("C>", request(b"GET /x", KEEP, version=b"HTTP/1.0")),
            (">B", forwarded()),
            ("B>", answer(b"ok")),
            (">C", answer(b"ok", KEEP)),
        ],
        KEPT,
    ),
    "no chunks to HTTP/1.0": (
        [
            ("C>", request(b"GET /x", KEEP, version=b"HTTP/1.0")),
            (">B", forwarded()),
            ("B>", head(CHUNKED) + CHUNKS),
            (">C", head(CLOSE) + b"hello world"),
            (">C.", b""),
        ],
        CLIENT_ENDS,
    ),
    "an answer that ends with its lane": (
        [
            ("C>", request()),
            (">B", forwarded()),
            ("B>", head() + b"hello"),
            ("B>.", b""),
            (">C", head(CLOSE) + b"hello"),
            (">C.", b""),
        ],
        BOTH_END,
    ),
    "a client that wants no more": (
        [
            ("C>", request(b"GET /x", CLOSE)),
            (">B", forwarded()),
            ("B>", answer(b"ok")),
            (">C", answer(b"ok", CLOSE)),
            (">C.", b""),
        ],
        CLIENT_ENDS,
    ),
    "a backend that keeps no lane": (
        [("C>", request()), (">B", forwarded()), ("B>", answer(b"ok", CLOSE)), (">C", answer(b"ok"))],
        LANE_ENDS,
    ),
    "an answer before the end of the request": (
        [
            ("C>", request(b"POST /x", b"Content-Length: 10", body=b"hello")),
            (">B", forwarded(b"POST /x", b"Content-Length: 10", body=b"hello")),
            ("B>", answer(b"early")),
            (">C", answer(b"early")),
            ("C>", b"world"),
            (">B", b"world"),
        ],
        KEPT,
    ),
    "an answer in the middle of a request": (
        [
            ("C>", request(b"POST /x", b"Content-Length: 10", body=b"hello")),
            (">B", forwarded(b"POST /x", b"Content-Length: 10", body=b"hello")),
            ("B>", head(b"Content-Length: 4") + b"ab"),
            (">C", head(b"Content-Length: 4") + b"ab"),
            ("C>", b"world"),
            (">B", b"world"),
            ("B>", b"cd"),
            (">C", b"cd"),
        ],
        KEPT,
    ),
    "an early answer that ends the lane": (
        [
            ("C>", request(b"POST /x", b"Content-Length: 10", body=b"hello")),
            (">B", forwarded(b"POST /x", b"Content-Length: 10", body=b"hello")),
            ("B>", answer(b"no", CLOSE)),
            (">C", answer(b"no", CLOSE)),
            ("C>.", b""),
            (">C.", b""),
        ],
        BOTH_END,
    ),
    "a location that names the backend": (
        [
            ("C>", request()),
            (">B", forwarded()),
            ("B>", answer(b"", b"Location: http://backend:4000/y", status=b"302 Found")),
            (">C", answer(b"", b"Location: https://a.test/y", status=b"302 Found")),
        ],
        KEPT,
    ),
}


@pytest.mark.parametrize("piece", [1 << 30, 1], ids=["whole", "bytes"])
@pytest.mark.parametrize("name", PASSES)
async def test_passes(converse: Converse, name: str, piece: int) -> None:
    steps, (client_kept, lane_kept) = PASSES[name]
    dialogue = converse(lanes=2)
    await play(dialogue, steps, piece)
    await dialogue.told("finished", reasons.DONE, lane_kept)
    await until(lambda: dialogue.exchange.phase == (Phase.IDLE if client_kept else Phase.ENDED))
    if client_kept:
        nobody_waits_for_ever(dialogue.exchange)
        dialogue.backend = dialogue.backends[0 if lane_kept else 1]
        await play(dialogue, PASSES["a get"][0], piece)
        await until(lambda: len(dialogue.ends) == 2)
    assert dialogue.ends == [reasons.DONE] * (1 + client_kept)
    assert not dialogue.told_of("refusal", "lane_failed", "answering")


async def test_pipelined_requests_are_answered_in_order(converse: Converse) -> None:
    dialogue = converse()
    await dialogue.client.send(request(b"GET /1") + request(b"GET /2") + request(b"GET /3"))
    for number in (b"1", b"2", b"3"):
        await dialogue.backend.sees(forwarded(b"GET /" + number))
        await dialogue.backend.send(answer(b"answer " + number))
    for number in (b"1", b"2", b"3"):
        await dialogue.client.sees(answer(b"answer " + number))
    await until(lambda: dialogue.ends == [reasons.DONE] * 3)


async def test_what_is_pipelined_without_end_is_read_no_further(converse: Converse) -> None:
    """64 KiB ahead is enough; the rest stays in the client's own window until the requests were served."""
    dialogue = converse()
    await dialogue.client.send(request())
    await dialogue.backend.sees(forwarded())
    ahead = request(b"GET /y") * 4000
    sending = asyncio.ensure_future(dialogue.client.send(ahead))
    await until(lambda: not dialogue.exchange.client.reading)
    assert dialogue.exchange.client.received < len(request()) + 3 * 65536
    await dialogue.backend.send(answer())
    await dialogue.client.sees(answer())
    for _ in range(4000):
        await dialogue.backend.sees(forwarded(b"GET /y"))
        await dialogue.backend.send(answer())
        await dialogue.client.sees(answer())
    await sending
    assert dialogue.exchange.client.reading


async def test_says_what_went_through_it(converse: Converse) -> None:
    dialogue = converse()
    exchange = dialogue.exchange
    head_in = request(b"POST /a?b", b"User-Agent: UA", b"Authorization: Basic eA==", b"Content-Length: 5")
    await dialogue.client.send(head_in + b"hello")
    await until(lambda: exchange.phase == Phase.SENT and exchange.body_sent == 5)
    await dialogue.backend.send(answer(b"ok"))
    await until(lambda: dialogue.ends)
    assert (exchange.method, exchange.target, exchange.host) == (b"POST", b"/a?b", b"a.test")
    assert (exchange.user_agent, exchange.authorization) == (b"UA", b"Basic eA==")
    assert (exchange.bytes_in, exchange.bytes_out) == (len(head_in) + 5, len(answer(b"ok")))
    assert (exchange.status, exchange.protocol, exchange.has_body) == (200, "HTTP/1.1", True)
    assert 0 < exchange.started <= exchange.sent <= exchange.first_byte <= exchange.ended
    assert repr(exchange).startswith("<Exchange idle b'POST' 200 <Stream tcp")


async def test_nothing_of_the_request_before_is_left(converse: Converse) -> None:
    """Not even of another client's: all of them share the parser."""
    first, second = converse(), converse()
    await first.client.send(request(b"GET /secret"))
    await first.backend.sees(forwarded(b"GET /secret"))
    await second.client.send(b"\0")
    await second.told("refusal", reasons.NOT_HTTP)
    assert (second.exchange.method, second.exchange.target) == (b"", b"")


# --- refusals: lbproxy answers itself

REFUSALS: dict[str, tuple[bytes, Reason, bool]] = {
    "another host": (b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n", reasons.MISDIRECTED, True),
    "a denied path": (request(b"GET /denied"), reasons.DENIED_PATH, True),
    "below a denied path": (request(b"GET /denied/x?y"), reasons.DENIED_PATH, True),
    "another host, close": (b"GET / HTTP/1.1\r\nHost: b.example\r\n" + CLOSE + b"\r\n\r\n", reasons.MISDIRECTED, False),
    "another host, with a body": (
        b"POST / HTTP/1.1\r\nHost: b.example\r\nContent-Length: 5\r\n\r\nhe",
        reasons.MISDIRECTED,
        False,
    ),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", reasons.BAD_HOST, False),
    "not HTTP": (b"\x16\x03\x01", reasons.NOT_HTTP, False),
    "too large": (request(b"GET /", b"X: " + b"x" * MAX_HEAD), reasons.HEAD_TOO_LARGE, False),
    "smuggling": (request(b"POST /", CHUNKED, b"Content-Length: 5"), reasons.LENGTH_AND_CHUNKED, False),
    "tunnel": (b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n", reasons.METHOD_REFUSED, False),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_refuses(converse: Converse, name: str) -> None:
    sent, reason, keep = REFUSALS[name]
    dialogue = converse()
    await dialogue.client.send(sent)
    await dialogue.client.sees(refusal(reason, keep))
    if keep:
        await play(dialogue, PASSES["a get"][0])
        await until(lambda: dialogue.ends == [reason, reasons.DONE])
    else:
        dialogue.client.finish()
        assert await dialogue.client.rest() == b""
        await dialogue.told("closed")
        assert dialogue.ends == [reason]


async def test_a_refused_body_does_not_reset_the_answer(converse: Converse) -> None:
    dialogue = converse()
    await dialogue.client.send(b"POST / HTTP/1.1\r\nHost: b.example\r\nContent-Length: 4000000\r\n\r\n")
    await dialogue.client.send(b"x" * 4_000_000)
    dialogue.client.finish()
    assert await dialogue.client.rest() == refusal(reasons.MISDIRECTED)


async def test_refusals_are_pipelined_too(converse: Converse) -> None:
    dialogue = converse()
    await dialogue.client.send(request(b"GET /denied") * 300 + request())
    await dialogue.client.sees(refusal(reasons.DENIED_PATH, keep=True) * 300)
    await dialogue.backend.sees(forwarded())


async def test_no_backend(converse: Converse) -> None:
    dialogue = converse()
    dialogue.policy.free.clear()
    await dialogue.client.send(request())
    await dialogue.client.sees(refusal(reasons.NO_BACKEND, keep=True))


async def test_common_hosts_are_asked_about_once(converse: Converse) -> None:
    asked: list[bytes] = []

    def host_served(host: bytes) -> bool:
        asked.append(host)
        return True

    dialogue = converse(host_served=host_served)
    for host in (b"a.test", b"A.TEST", b"a.test"):
        await dialogue.client.send(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        await dialogue.backend.receive()
        await dialogue.backend.send(answer())
        await dialogue.client.sees(answer())
    assert asked == [b"a.test", b"A.TEST"]


async def test_rare_spellings_of_paths_are_asked_about(converse: Converse) -> None:
    asked: list[bytes] = []

    def path_denied(target: bytes) -> bool:
        asked.append(target)
        return True

    dialogue = converse(path_denied=path_denied)
    await dialogue.client.send(request(b"GET /%64enied"))
    await dialogue.client.sees(refusal(reasons.DENIED_PATH, keep=True))
    await dialogue.client.send(request(b"GET /deniedx"))
    await dialogue.backend.sees(forwarded(b"GET /deniedx"))
    assert asked == [b"/%64enied"]


# --- what a backend does wrong

SENT: list[Step] = [("C>", request()), (">B", forwarded())]
FAILURES: dict[str, tuple[list[Step], Reason]] = {
    "closed before a byte": ([("B>.", b"")], reasons.LANE_LOST),
    "reset before a byte": ([("B>!", b"")], reasons.LANE_LOST),
    "closed inside the head": ([("B>", b"HTTP/1.1 200 OK\r\nA:"), ("B>.", b"")], reasons.RESPONSE_CUT_HEAD),
    "closed after a 1xx": ([("B>", HINTS), (">C", HINTS), ("B>.", b"")], reasons.LANE_LOST),
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
    await play(dialogue, PASSES["a get"][0])


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


# --- upgrades


async def test_an_upgrade_becomes_a_tunnel(converse: Converse) -> None:
    dialogue = converse()
    await dialogue.client.send(request(b"GET /x", *UPGRADE))
    await dialogue.backend.sees(forwarded(b"GET /x", *UPGRADE))
    await dialogue.backend.send(SWITCHED + b"first words")
    await dialogue.client.sees(SWITCHED)
    await dialogue.told("tunnel_opened", b"first words")
    assert dialogue.policy.tunnel == (dialogue.lanes[0], b"first words")
    assert dialogue.exchange.link is None
    assert (dialogue.exchange.client.deadline, dialogue.lanes[0].deadline) == (0, 0)
    dialogue.exchange.tunnel_closed(reasons.TUNNEL_DONE)
    assert dialogue.ends == [reasons.TUNNEL_DONE]
    assert dialogue.exchange.status == 101
    assert dialogue.exchange.bytes_in == dialogue.exchange.client.received


async def test_an_upgrade_that_is_not_taken_is_a_request(converse: Converse) -> None:
    dialogue = converse()
    await dialogue.client.send(request(b"GET /x", *UPGRADE))
    await dialogue.backend.sees(forwarded(b"GET /x", *UPGRADE))
    await dialogue.backend.send(answer(b"no"))
    await dialogue.client.sees(answer(b"no"))
    await dialogue.told("finished", reasons.DONE, True)


# --- the policy sees the heads that it has to


@pytest.mark.parametrize(
    ("lines", "watch", "expected"),
    [
        ((), False, []),
        ((), True, [("answering", 401)]),
        ((b"WWW-Authenticate: Basic",), False, []),
        ((b"WWW-Authenticate: Negotiate",), False, [("answering", 401)]),
    ],
)
async def test_challenges_are_told(
    converse: Converse, lines: tuple[bytes, ...], watch: bool, expected: list[tuple[object, ...]]
) -> None:
    dialogue = converse()
    dialogue.exchange.watch = watch
    reply = answer(b"", *lines, status=b"401 Unauthorized")
    await play(dialogue, [*SENT, ("B>", reply), (">C", reply)])
    assert dialogue.told_of("answering") == expected


async def test_the_policy_may_end_the_connection_with_an_answer(converse: Converse) -> None:
    dialogue = converse()
    await play(dialogue, SENT)
    dialogue.exchange.closes = True
    await dialogue.backend.send(answer(b"last"))
    await dialogue.client.sees(answer(b"last", CLOSE))
    assert await dialogue.client.rest() == b""


# --- clients that go away, in every phase

UPLOAD = request(b"POST /x", b"Content-Length: 10", body=b"hello")
UPLOADED: list[Step] = [("C>", UPLOAD), (">B", forwarded(b"POST /x", b"Content-Length: 10", body=b"hello"))]
PHASES: dict[str, tuple[list[Step], Phase, Reason]] = {
    "before a request": ([], Phase.IDLE, reasons.CLIENT_CLOSED),
    "inside a head": ([("C>", b"GET / HT")], Phase.IDLE, reasons.CLIENT_GONE),
    "while its answer is awaited": (SENT, Phase.SENT, reasons.CLIENT_GONE),
    "while it uploads": (UPLOADED, Phase.SENT, reasons.CLIENT_GONE),
    "inside its answer": (
        [*SENT, ("B>", head(b"Content-Length: 5") + b"he"), (">C", head(b"Content-Length: 5") + b"he")],
        Phase.ANSWERING,
        reasons.CLIENT_GONE,
    ),
    "after an early answer": (
        [*UPLOADED, ("B>", answer(b"early")), (">C", answer(b"early"))],
        Phase.UPLOADING,
        reasons.CLIENT_GONE,
    ),
}


@pytest.mark.parametrize("how", ["C>.", "C>!"], ids=["closed", "reset"])
@pytest.mark.parametrize("name", PHASES)
async def test_a_client_that_goes_away(converse: Converse, name: str, how: str) -> None:
    steps, phase, reason = PHASES[name]
    dialogue = converse()
    await play(dialogue, steps)
    exchange = dialogue.exchange
    await until(lambda: exchange.phase == phase and exchange.client.received == sent_by_client(steps))
    await play(dialogue, [(how, b"")])
    await until(lambda: dialogue.told_of("ended"))
    assert dialogue.ends == [reason]
    assert exchange.client.closed
    assert dialogue.lanes[0].closed == (phase != Phase.IDLE)


def sent_by_client(steps: list[Step]) -> int:
    return sum(len(data) for who, data in steps if who == "C>")


async def test_a_client_that_goes_away_while_it_waits_for_a_lane(converse: Converse) -> None:
    dialogue = converse()
    dialogue.policy.waits = True
    await dialogue.client.send(request())
    await dialogue.told("route")
    dialogue.client.close()
    await dialogue.told("finished", reasons.CLIENT_GONE, False)


# --- deadlines, in every phase


async def test_an_idle_client_has_idle_timeout(converse: Converse, poller: Poller) -> None:
    dialogue = converse()
    assert dialogue.exchange.client.deadline == poller.now + IDLE_TIMEOUT
    await play(dialogue, PASSES["a get"][0])
    await until(lambda: dialogue.ends)
    assert dialogue.exchange.client.deadline == poller.now + IDLE_TIMEOUT
    dialogue.client_expires()
    assert dialogue.ends == [reasons.DONE, reasons.IDLE_TIMEOUT]
    assert await dialogue.client.rest() == b""


@pytest.mark.parametrize("before", ["nothing", "a request", "a refusal", "a lane that failed inside the head"])
async def test_a_head_has_header_timeout_however_it_drips(converse: Converse, poller: Poller, before: str) -> None:
    dialogue = converse(lanes=2)
    exchange = dialogue.exchange
    if before == "a request":
        await play(dialogue, PASSES["a get"][0])
    elif before == "a refusal":
        await dialogue.client.send(request(b"GET /denied"))
        await dialogue.client.sees(refusal(reasons.DENIED_PATH, keep=True))
    elif before != "nothing":
        await play(dialogue, [*SENT, ("B>", b"HTTP/1.1 200 OK\r\n")])
        await until(lambda: dialogue.lanes[0].received == 17)
        await dialogue.backend.send(b"A: b\r\n")
        await until(lambda: dialogue.lanes[0].received == 23)
        dialogue.backend.finish()
        await dialogue.client.sees(refusal(reasons.RESPONSE_CUT_HEAD, keep=True))
    received = exchange.client.received
    await dialogue.client.send(b"GET / HTTP")
    await until(lambda: exchange.client.received == received + 10)
    assert exchange.client.deadline == poller.now + HEADER_TIMEOUT
    exchange.client.deadline -= 1.0
    deadline = exchange.client.deadline
    await dialogue.client.send(b"/1.1\r\n")
    await until(lambda: exchange.client.received == received + 16)
    assert exchange.client.deadline == deadline
    dialogue.client_expires()
    await dialogue.client.sees(refusal(reasons.HEADER_TIMEOUT))
    assert dialogue.ends[-1] is reasons.HEADER_TIMEOUT


async def test_an_answer_has_response_timeout(converse: Converse, poller: Poller) -> None:
    dialogue = converse()
    await play(dialogue, SENT)
    dialogue.waits_for("lane")
    assert dialogue.lanes[0].deadline == poller.now + RESPONSE_TIMEOUT
    dialogue.lane_expires()
    await dialogue.client.sees(refusal(reasons.RESPONSE_TIMEOUT, keep=True))
    assert dialogue.told_of("lane_failed", "finished") == [
        ("lane_failed", reasons.RESPONSE_TIMEOUT),
        ("finished", reasons.RESPONSE_TIMEOUT, False),
    ]


async def test_the_rest_of_an_answer_has_it_too(converse: Converse, poller: Poller) -> None:
    dialogue = converse()
    await play(dialogue, PHASES["inside its answer"][0])
    dialogue.waits_for("lane")
    dialogue.lane_expires()
    await dialogue.client.is_reset()
    assert dialogue.ends == [reasons.RESPONSE_STALLED]


async def test_a_request_body_has_idle_timeout(converse: Converse, poller: Poller) -> None:
    dialogue = converse()
    await play(dialogue, UPLOADED)
    dialogue.waits_for("client")
    assert dialogue.exchange.client.deadline == poller.now + IDLE_TIMEOUT
    dialogue.client_expires()
    await dialogue.client.sees(refusal(reasons.BODY_TIMEOUT))
    assert dialogue.ends == [reasons.BODY_TIMEOUT]


async def test_a_request_body_behind_an_early_answer_is_not_awaited_for_ever(converse: Converse) -> None:
    dialogue = converse()
    await play(dialogue, PHASES["after an early answer"][0])
    dialogue.lane_expires()
    assert dialogue.told_of("finished") == [("finished", reasons.DONE, False)]
    assert await dialogue.client.rest() == b""


async def test_a_request_body_inside_an_answer_is_not_awaited_for_ever(converse: Converse) -> None:
    dialogue = converse()
    some = head(b"Content-Length: 5") + b"he"
    await play(dialogue, [*UPLOADED, ("B>", some), (">C", some)])
    dialogue.client_expires()
    await dialogue.client.is_reset()
    assert dialogue.ends == [reasons.BODY_TIMEOUT]


# --- slow readers: memory is bounded, both ways, and nobody waits for ever

MUCH = 2_000_000


async def test_a_client_that_reads_slowly_slows_its_backend_down(converse: Converse, poller: Poller) -> None:
    dialogue = converse(slow="client and backend")
    await play(dialogue, SENT)
    body = bytes(range(256)) * (MUCH // 256)
    sending = asyncio.ensure_future(dialogue.backend.send(answer(body)))
    await until(lambda: not dialogue.lanes[0].reading)
    dialogue.waits_for("client")
    assert dialogue.exchange.client.deadline == poller.now + IDLE_TIMEOUT
    assert dialogue.lanes[0].received < 1_000_000
    await dialogue.client.sees(answer(body))
    await sending
    await dialogue.told("finished", reasons.DONE, True)
    nobody_waits_for_ever(dialogue.exchange)


async def test_a_client_that_reads_nothing_is_cut(converse: Converse) -> None:
    dialogue = converse(slow="client and backend")
    await play(dialogue, SENT)
    sending = asyncio.ensure_future(dialogue.backend.send(answer(b"x" * MUCH)))
    await until(lambda: not dialogue.lanes[0].reading)
    dialogue.client_expires()
    assert dialogue.ends == [reasons.CLIENT_STALLED]
    await dialogue.client.is_reset()
    with pytest.raises(ConnectionError):
        await sending


async def test_a_client_that_reads_nothing_of_its_whole_answer_is_cut(converse: Converse) -> None:
    dialogue = converse(slow="client")
    await play(dialogue, [*SENT, ("B>", answer(b"x" * 60_000))])
    await until(lambda: dialogue.ends == [reasons.DONE])
    assert dialogue.exchange.client.has_queue()
    dialogue.client_expires()
    assert dialogue.ends == [reasons.DONE, reasons.CLIENT_STALLED]


async def test_the_next_request_waits_until_the_answer_was_read(converse: Converse) -> None:
    dialogue = converse(slow="client")
    await play(dialogue, [*SENT, ("B>", answer(b"x" * 60_000))])
    await until(lambda: dialogue.ends == [reasons.DONE])
    await dialogue.client.send(request(b"GET /y"))
    await until(lambda: dialogue.exchange.client.received == len(request()) + len(request(b"GET /y")))
    assert dialogue.exchange.phase == Phase.IDLE
    nobody_waits_for_ever(dialogue.exchange)
    await dialogue.client.sees(answer(b"x" * 60_000))
    await dialogue.backend.sees(forwarded(b"GET /y"))


async def test_a_backend_that_reads_slowly_slows_its_client_down(converse: Converse, poller: Poller) -> None:
    dialogue = converse(slow="client and backend")
    length = b"Content-Length: %d" % MUCH
    body = bytes(range(256)) * (MUCH // 256) + b"x" * (MUCH % 256)
    sending = asyncio.ensure_future(dialogue.client.send(request(b"POST /x", length, body=body)))
    await until(lambda: dialogue.exchange.link and not dialogue.exchange.client.reading)
    dialogue.waits_for("lane")
    assert dialogue.exchange.client.received < 1_000_000
    await dialogue.backend.sees(forwarded(b"POST /x", length, body=body))
    await sending
    await until(lambda: dialogue.exchange.body_sent == MUCH)
    dialogue.waits_for("lane")
    await dialogue.backend.send(answer(b"ok"))
    await dialogue.client.sees(answer(b"ok"))


async def test_a_backend_that_reads_nothing_is_given_up(converse: Converse) -> None:
    dialogue = converse(slow="client and backend")
    sending = asyncio.ensure_future(
        dialogue.client.send(request(b"POST /x", b"Content-Length: %d" % MUCH, body=b"x" * MUCH))
    )
    await until(lambda: dialogue.exchange.link and not dialogue.exchange.client.reading)
    dialogue.lane_expires()
    await dialogue.client.sees(refusal(reasons.RESPONSE_TIMEOUT))
    sending.cancel()


async def test_neither_side_reads(converse: Converse) -> None:
    """An echo without end, and a client that only sends: each waits for the other, but not for ever."""
    dialogue = converse(slow="client and backend")
    exchange = dialogue.exchange
    await dialogue.client.send(request(b"POST /x", b"Content-Length: %d" % MUCH))
    await until(lambda: exchange.link)
    echoing = asyncio.ensure_future(dialogue.backend.send(answer(b"x" * MUCH)))
    await dialogue.stands_still()
    sending = asyncio.ensure_future(dialogue.client.send(b"x" * MUCH))
    await dialogue.stands_still()
    assert not exchange.client.reading
    assert not dialogue.lanes[0].reading
    nobody_waits_for_ever(exchange)
    dialogue.client_expires()
    assert dialogue.ends == [reasons.CLIENT_STALLED]
    for task in (sending, echoing):
        with pytest.raises(ConnectionError):
            await task


async def test_the_end_of_a_body_does_not_forgive_a_client_that_reads_nothing(converse: Converse) -> None:
    dialogue = converse(slow="client and backend")
    await play(dialogue, UPLOADED)
    sending = asyncio.ensure_future(dialogue.backend.send(answer(b"x" * MUCH)))
    await dialogue.ends_its_body(b"world")
    nobody_waits_for_ever(dialogue.exchange)
    dialogue.client_expires()
    assert dialogue.ends == [reasons.CLIENT_STALLED]
    with pytest.raises(ConnectionError):
        await sending


async def test_nor_does_one_behind_the_whole_answer(converse: Converse) -> None:
    dialogue = converse(slow="client")
    await play(dialogue, [*UPLOADED, ("B>", answer(b"x" * 60_000))])
    await until(lambda: dialogue.exchange.phase == Phase.UPLOADING)
    await dialogue.ends_its_body(b"world")
    await until(lambda: dialogue.ends == [reasons.DONE])
    assert dialogue.exchange.client.has_queue()
    nobody_waits_for_ever(dialogue.exchange)


async def test_a_body_is_still_awaited_once_the_client_has_read(converse: Converse) -> None:
    """The client's one deadline is that of its reading while it has a queue, and that of its body afterwards."""
    dialogue = converse(slow="client")
    await play(dialogue, UPLOADED)
    await dialogue.backend.send(head(b"Content-Length: 1000000") + b"x" * 60_000)
    await until(lambda: not dialogue.lanes[0].reading)
    await dialogue.client.exactly(len(head(b"Content-Length: 1000000")) + 60_000)
    await until(lambda: dialogue.lanes[0].reading)
    dialogue.waits_for("client", "lane")
    dialogue.client_expires()
    assert dialogue.ends == [reasons.BODY_TIMEOUT]


async def test_a_lane_that_has_not_taken_its_request_is_not_given_back(converse: Converse) -> None:
    dialogue = converse(slow="backend")
    await dialogue.client.send(request(b"POST /x", b"Content-Length: 60000", body=b"x" * 60_000))
    await until(lambda: dialogue.exchange.body_sent == 60_000)
    assert dialogue.lanes[0].has_queue()
    await dialogue.backend.send(answer(b"early"))
    await dialogue.client.sees(answer(b"early"))
    await dialogue.told("finished", reasons.DONE, False)


# --- stopping


async def test_drain_ends_an_idle_connection_at_once(converse: Converse) -> None:
    dialogue = converse()
    await play(dialogue, PASSES["a get"][0])
    await until(lambda: dialogue.ends)
    dialogue.drain()
    assert dialogue.ends == [reasons.DONE, reasons.DRAINED]


async def test_drain_lets_a_new_connection_ask_once(converse: Converse, poller: Poller) -> None:
    dialogue = converse()
    dialogue.drain()
    assert dialogue.exchange.client.deadline == poller.now + 1.0
    await play(dialogue, [("C>", request()), (">B", forwarded()), ("B>", answer()), (">C", answer(b"", CLOSE))])
    assert await dialogue.client.rest() == b""


async def test_a_connection_that_comes_up_in_a_drain_may_ask_once(converse: Converse, poller: Poller) -> None:
    """Its TLS handshake was under way."""
    converse().site.draining = True
    assert converse().exchange.client.deadline == poller.now + 1.0


@pytest.mark.parametrize("name", ["inside a head", "while its answer is awaited", "inside its answer"])
async def test_drain_lets_the_request_end(converse: Converse, name: str) -> None:
    steps, phase, _ = PHASES[name]
    dialogue = converse()
    await play(dialogue, steps)
    await until(lambda: dialogue.exchange.client.received == sent_by_client(steps))
    dialogue.drain()
    assert dialogue.ends == []
    if phase == Phase.IDLE:
        await dialogue.client.send(b"TP/1.1\r\nHost: a.test\r\n\r\n")
        await dialogue.backend.sees(forwarded(b"GET /"))
    expected = b"llo" if phase == Phase.ANSWERING else answer(b"hello", CLOSE)
    await dialogue.backend.send(b"llo" if phase == Phase.ANSWERING else answer(b"hello"))
    await dialogue.client.sees(expected)
    assert await dialogue.client.rest() == b""
    assert dialogue.ends == [reasons.DONE]


async def test_drain_lets_a_slow_client_read_its_answer(converse: Converse) -> None:
    dialogue = converse(slow="client")
    await play(dialogue, [*SENT, ("B>", answer(b"x" * 60_000))])
    await until(lambda: dialogue.ends == [reasons.DONE])
    dialogue.drain()
    await dialogue.client.sees(answer(b"x" * 60_000))
    assert await dialogue.client.rest() == b"", "it is not served once more, nor kept"
    assert dialogue.ends == [reasons.DONE, reasons.DRAINED]


@pytest.mark.parametrize("name", PHASES)
async def test_stop_ends_every_phase(converse: Converse, name: str) -> None:
    steps, phase, _ = PHASES[name]
    dialogue = converse()
    await play(dialogue, steps)
    await until(lambda: dialogue.exchange.phase == phase)
    dialogue.exchange.stop(reasons.SHUTDOWN)
    dialogue.exchange.stop(reasons.SHUTDOWN)
    assert dialogue.ends == [reasons.SHUTDOWN]
    assert dialogue.exchange.phase == Phase.ENDED
    assert dialogue.exchange.client.closed


# --- faults of ours

FAULTS: dict[str, list[Step]] = {
    "route": [("C>", request())],
    "refusal": [("C>", request(b"GET /denied"))],
    "answering": [*SENT, ("B>", answer(b"", b"WWW-Authenticate: NTLM"))],
    "lane_failed": [*SENT, ("B>.", b"")],
    "tunnel_opened": [("C>", request(b"GET /x", *UPGRADE)), ("B>", SWITCHED)],
    "finished": [*SENT, ("B>", answer())],
    "hang_up": [("C>", request(b"GET /x", CLOSE)), ("B>", answer())],
}


@pytest.mark.parametrize("before", [b"", request(b"GET /denied")], ids=["first", "pipelined"])
@pytest.mark.parametrize("call", FAULTS)
async def test_a_fault_in_the_policy_ends_its_connection_only(
    converse: Converse, call: str, before: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    dialogue = converse()
    dialogue.policy.faulty = (call, 1 if before and call in ("refusal", "finished") else 0)
    (_, first), *rest = FAULTS[call]
    await play(
        dialogue,
        [("C>", before + first), *([(">C", refusal(reasons.DENIED_PATH, keep=True))] if before else []), *rest],
    )
    await dialogue.client.is_reset()
    await until(lambda: dialogue.told_of("ended"))
    assert dialogue.exchange.client.closed
    assert dialogue.exchange.phase == Phase.ENDED
    faults = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert {record.message for record in faults} == {"fault"}
    assert faults[0].exc_info is not None
    with suppress(ConnectionError):
        await dialogue.backend.send(b"to a lane that the fault left behind")
    await until(lambda: dialogue.lanes[0].closed or dialogue.lanes[0] in dialogue.policy.free)


# --- what a site counts


async def test_requests_are_counted_by_how_long_they_took(converse: Converse) -> None:
    dialogue = converse()
    site = dialogue.site
    assert (site.requests, site.observed, site.seconds) == (0, 0, 0)
    await play(dialogue, PASSES["a get"][0])
    await until(lambda: dialogue.ends)
    await dialogue.client.send(b"\0")
    await until(lambda: len(dialogue.ends) == 2)
    bounds = [bound for bound, _ in site.histogram()]
    counts = [count for _, count in site.histogram()]
    assert bounds == sorted(bounds)
    assert counts == sorted(counts)
    assert (site.requests, site.observed) == (1, 2)
    assert 0 < site.seconds < 10


async def test_without_a_log_nothing_is_kept_for_it(converse: Converse) -> None:
    dialogue = converse(logs=False)
    await dialogue.client.send(request(b"GET /x", b"User-Agent: UA"))
    await dialogue.backend.receive()
    assert (dialogue.exchange.target, dialogue.exchange.user_agent) == (b"", b"")
