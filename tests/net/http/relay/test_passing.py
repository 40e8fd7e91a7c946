"""What passes, unchanged or as it has to be, in both directions. Each dialogue is also played byte by byte."""

from __future__ import annotations

import asyncio

import pytest

from lbproxy import reasons
from lbproxy.net.http.phases import Phase
from tests.net.dialogue import Step, answer, forwarded, head, nobody_waits_for_ever, play, refusal, request
from tests.net.http.conftest import Converse
from tests.net.http.scenes import A_GET, CHUNKED, CHUNKS, CLOSE, HINTS, KEEP
from tests.net.peers import until

KEPT, CLIENT_ENDS, LANE_ENDS, BOTH_END = (True, True), (False, True), (True, False), (False, False)
"""What is left after an answer: (client connection, lane)."""

PASSES: dict[str, tuple[list[Step], tuple[bool, bool]]] = {
    "a get": (A_GET, KEPT),
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
    "HTTP/1.2 as 1.1": (
        [
            ("C>", request(version=b"HTTP/1.2")),
            (">B", forwarded()),
            ("B>", HINTS + head(CHUNKED).replace(b"HTTP/1.1", b"HTTP/1.2") + CHUNKS),
            (">C", HINTS + head(CHUNKED) + CHUNKS),
        ],
        KEPT,
    ),
    "HTTP/1.0 with a host in its target only": (
        [
            ("C>", b"GET http://a.test/x HTTP/1.0\r\n" + KEEP + b"\r\n\r\n"),
            (">B", forwarded()),
            ("B>", answer(b"ok")),
            (">C", answer(b"ok", KEEP)),
        ],
        KEPT,
    ),
    "lengths with zeros": (
        [
            ("C>", request(b"POST /x", b"Content-Length: 005", body=b"hello")),
            (">B", forwarded(b"POST /x", b"Content-Length: 5", body=b"hello")),
            ("B>", head(b"Content-Length: 0002") + b"ok"),
            (">C", answer(b"ok")),
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
        await play(dialogue, A_GET, piece)
        await until(lambda: len(dialogue.ends) == 2)
    assert dialogue.ends == [reasons.DONE] * (1 + client_kept)
    assert not dialogue.told_of("refusal", "lane_failed", "answering")


LF = b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\r\nA: 1\n\n5;x\nhello\n0\nB:2\n\n"
BARE_LF: dict[str, list[Step]] = {
    "a length": [("B>", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), (">C", answer(b"ok"))],
    "1xx": [("B>", b"HTTP/1.1 103 Early Hints\n\n"), (">C", head(status=b"103 Early Hints")), *A_GET[2:]],
    "chunks": [("B>", LF), (">C", head(b"A: 1", CHUNKED) + b"5\r\nhello\r\n0\r\nB: 2\r\n\r\n")],
}


@pytest.mark.parametrize("piece", [1 << 30, 1], ids=["whole", "bytes"])
@pytest.mark.parametrize("name", BARE_LF)
async def test_lines_that_end_with_lf_alone_leave_with_cr_lf(converse: Converse, name: str, piece: int) -> None:
    dialogue = converse(bare_lf=True)
    await play(dialogue, A_GET[:2])
    await play(dialogue, BARE_LF[name], piece)
    await dialogue.told("finished", reasons.DONE, True)
    await play(dialogue, A_GET, piece)


async def test_but_not_in_requests(converse: Converse) -> None:
    dialogue = converse(bare_lf=True)
    await dialogue.client.send(b"POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\n0\n\n")
    await dialogue.told("refusal", reasons.BAD_CHUNK)
    await dialogue.client.sees(refusal(reasons.BAD_CHUNK))


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
    assert exchange.authorization == b"Basic eA=="
    await dialogue.backend.send(answer(b"ok"))
    await until(lambda: dialogue.ends)
    assert exchange.authorization is None, "an idle connection holds no ticket"
    assert (exchange.method, exchange.target, exchange.host) == (b"POST", b"/a?b", b"a.test")
    assert exchange.user_agent == b"UA"
    assert (exchange.bytes_in, exchange.bytes_out) == (len(head_in) + 5, len(answer(b"ok")))
    assert (exchange.status, exchange.summary()[3], exchange.has_body) == (200, "HTTP/1.1", True)
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
