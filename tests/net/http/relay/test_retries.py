"""A request that is sent again: the same bytes, whenever its lane failed; and what the policy is asked before."""

from __future__ import annotations

import asyncio

import pytest

from lbproxy import reasons
from lbproxy.net.http.phases import Phase
from tests.net.dialogue import Dialogue, answer, forwarded, head, play, refusal, request
from tests.net.http.conftest import Converse
from tests.net.http.scenes import A_GET, CHUNKED, HINTS, PHASES, SENT
from tests.net.peers import until

LENGTH = b"Content-Length: 10"
UNAVAILABLE = answer(b"busy", status=b"503 Service Unavailable")


def retrying(converse: Converse, lanes: int = 2, keeps: int | None = 65536, slow: str = "") -> Dialogue:
    """A dialogue whose policy takes the next lane after each that fails."""
    dialogue = converse(lanes=lanes, slow=slow)
    dialogue.policy.retries = True
    dialogue.policy.keeps = keeps
    return dialogue


async def fails_after(dialogue: Dialogue, seen: bytes, lane: int = 0) -> None:
    """The backend of this number gets exactly `seen`, and closes its lane."""
    backend = dialogue.backends[lane]
    await backend.sees(seen)
    backend.finish()
    assert await backend.rest() == b""


# --- bodies that are kept


@pytest.mark.parametrize("sent", [0, 5, 10])
async def test_what_was_sent_of_a_body_is_sent_again(converse: Converse, sent: int) -> None:
    """The rest of it follows, as it comes."""
    dialogue = retrying(converse, lanes=3)
    body = b"helloworld"
    await dialogue.client.send(request(b"POST /x", LENGTH, body=body[:sent]))
    for lane in (0, 1):
        await fails_after(dialogue, forwarded(b"POST /x", LENGTH, body=body[:sent]), lane)
    await dialogue.backends[2].sees(forwarded(b"POST /x", LENGTH, body=body[:sent]))
    await dialogue.client.send(body[sent:])
    await dialogue.backends[2].sees(body[sent:])
    await dialogue.backends[2].send(answer(b"ok"))
    await dialogue.client.sees(answer(b"ok"))
    await dialogue.told("finished", reasons.DONE, True)
    assert dialogue.exchange.body_sent == 10


@pytest.mark.parametrize("piece", [1 << 30, 1], ids=["whole", "bytes"])
async def test_chunks_are_sent_again_as_they_were(converse: Converse, piece: int) -> None:
    dialogue = retrying(converse)
    one, two = b"5\r\nhello\r\n", b"6;x=y\r\n world\r\n0\r\nDigest: 1\r\n\r\n"
    passed = b"6\r\n world\r\n0\r\nDigest: 1\r\n\r\n"
    await play(dialogue, [("C>", request(b"POST /x", CHUNKED)), ("C>", one)], piece)
    await fails_after(dialogue, forwarded(b"POST /x", CHUNKED, body=one))
    await play(dialogue, [("C>", two)], piece)
    await dialogue.backends[1].sees(forwarded(b"POST /x", CHUNKED, body=one))
    await dialogue.backends[1].sees(passed)


async def test_bodies_are_kept_for_the_request_that_has_them_only(converse: Converse) -> None:
    dialogue = retrying(converse)
    await dialogue.client.send(request(b"POST /x", LENGTH, body=b"helloworld"))
    await dialogue.backend.sees(forwarded(b"POST /x", LENGTH, body=b"helloworld"))
    await dialogue.backend.send(answer(b"ok"))
    await dialogue.client.sees(answer(b"ok"))
    dialogue.policy.keeps = None
    await dialogue.client.send(request(b"POST /y", b"Content-Length: 0"))
    await fails_after(dialogue, forwarded(b"POST /y", b"Content-Length: 0"))
    await dialogue.backends[1].sees(forwarded(b"POST /y", b"Content-Length: 0"))
    await dialogue.backends[1].send(answer(b"ok"))
    await dialogue.client.sees(answer(b"ok"))


@pytest.mark.parametrize(
    ("keeps", "lines", "body", "kept"),
    [
        (None, (), b"", True),
        (None, (LENGTH,), b"helloworld", False),
        (10, (LENGTH,), b"helloworld", True),
        (9, (LENGTH,), b"helloworld", False),
        (0, (LENGTH,), b"", True),  # nothing was sent yet
        (0, (LENGTH,), b"h", False),
        (15, (CHUNKED,), b"5\r\nhello\r\n0\r\n\r\n", True),
        (14, (CHUNKED,), b"5\r\nhello\r\n0\r\n\r\n", False),
    ],
)
async def test_as_much_is_kept_as_the_policy_wants(
    converse: Converse, keeps: int | None, lines: tuple[bytes, ...], body: bytes, kept: bool
) -> None:
    dialogue = retrying(converse, keeps=keeps)
    await dialogue.client.send(request(b"POST /x", *lines, body=body))
    await dialogue.backend.sees(forwarded(b"POST /x", *lines, body=body))
    assert dialogue.exchange.body_kept == kept


async def test_what_comes_while_there_is_no_lane_waits(converse: Converse) -> None:
    """Nor is the client charged with being slow meanwhile."""
    dialogue = retrying(converse)
    exchange = dialogue.exchange
    await dialogue.client.send(request(b"POST /x", LENGTH, body=b"hello"))
    await dialogue.backend.sees(forwarded(b"POST /x", LENGTH, body=b"hello"))
    assert exchange.client.deadline > 0
    dialogue.policy.waits = True
    dialogue.backend.finish()
    await until(lambda: exchange.phase == Phase.WAITING)
    assert exchange.client.deadline == 0
    await dialogue.client.send(b"world")
    await until(lambda: exchange.client.received == len(request(b"POST /x", LENGTH)) + 10)
    exchange.run(dialogue.lanes[1], True)
    await dialogue.backends[1].sees(forwarded(b"POST /x", LENGTH, body=b"helloworld"))
    dialogue.waits_for("lane")


async def test_a_client_that_was_slowed_down_goes_on(converse: Converse) -> None:
    """The first backend reads nothing at all; the second gets every byte."""
    dialogue = retrying(converse, slow="backend")
    body = bytes(range(256)) * 400
    length = b"Content-Length: %d" % len(body)
    dialogue.policy.keeps = len(body)
    sending = asyncio.ensure_future(dialogue.client.send(request(b"POST /x", length, body=body)))
    await until(lambda: dialogue.exchange.link and not dialogue.exchange.client.reading)
    dialogue.backend.reset()
    await dialogue.backends[1].sees(forwarded(b"POST /x", length, body=body))
    await sending
    await dialogue.backends[1].send(answer(b"ok"))
    await dialogue.client.sees(answer(b"ok"))


# --- 1xx are no answer, but they are a sign of life


async def test_a_reused_lane_that_has_spoken_is_not_stale(converse: Converse) -> None:
    """And what one lane said is not held against the next one."""
    dialogue = retrying(converse, lanes=3)
    dialogue.policy.fresh = False
    await play(dialogue, [*SENT, ("B>", HINTS), (">C", HINTS), ("B>.", b"")])
    await fails_after(dialogue, forwarded(), lane=1)
    await dialogue.backends[2].sees(forwarded())
    assert dialogue.told_of("lane_failed") == [
        ("lane_failed", reasons.RESPONSE_CUT_HEAD),
        ("lane_failed", reasons.LANE_STALE),
    ]


async def test_each_backend_may_send_as_many_1xx(converse: Converse) -> None:
    dialogue = retrying(converse)
    await play(dialogue, [*SENT, ("B>", HINTS * 16), (">C", HINTS * 16), ("B>.", b"")])
    dialogue.backend = dialogue.backends[1]
    await play(dialogue, [(">B", forwarded()), ("B>", HINTS * 16 + answer(b"ok")), (">C", HINTS * 16 + answer(b"ok"))])


async def test_a_client_that_waits_for_100_gets_one_of_each(converse: Converse) -> None:
    dialogue = retrying(converse)
    expects = (LENGTH, b"Expect: 100-continue")
    go_on = head(status=b"100 Continue")
    await play(
        dialogue,
        [
            ("C>", request(b"POST /x", *expects)),
            (">B", forwarded(b"POST /x", *expects)),
            ("B>", go_on),
            (">C", go_on),
            ("B>.", b""),
        ],
    )
    dialogue.backend = dialogue.backends[1]
    await dialogue.backend.sees(forwarded(b"POST /x", *expects))
    dialogue.waits_for("lane")
    await play(dialogue, [("B>", go_on), (">C", go_on), ("C>", b"helloworld"), (">B", b"helloworld")])


# --- moves


@pytest.mark.parametrize("name", PHASES)
async def test_a_request_is_untouched_while_its_answer_is_awaited(converse: Converse, name: str) -> None:
    steps, phase, _ = PHASES[name]
    dialogue = converse()
    await play(dialogue, steps)
    await until(lambda: dialogue.exchange.phase == phase)
    assert dialogue.exchange.untouched() == (phase == Phase.SENT)


async def test_a_part_of_a_head_is_a_touch(converse: Converse) -> None:
    dialogue = converse()
    await play(dialogue, [*SENT, ("B>", b"HTTP/1.1 2")])
    await until(lambda: dialogue.lanes[0].received)
    assert not dialogue.exchange.untouched()


async def test_a_request_moves_to_the_next_lane(converse: Converse) -> None:
    dialogue = retrying(converse)
    await play(dialogue, [("C>", request() + request(b"GET /next")), (">B", forwarded())])
    dialogue.exchange.move(reasons.BACKEND_EJECTED)
    await dialogue.told("lane_failed", reasons.BACKEND_EJECTED)
    assert await dialogue.backend.rest() == b""
    dialogue.backend = dialogue.backends[1]
    await play(dialogue, A_GET[1:])
    await dialogue.backend.sees(forwarded(b"GET /next"))


async def test_a_fault_in_a_move_ends_its_connection_only(converse: Converse) -> None:
    dialogue = retrying(converse)
    await play(dialogue, SENT)
    dialogue.policy.faulty = ("lane_failed", 0)
    dialogue.exchange.move(reasons.BACKEND_EJECTED)
    await dialogue.client.is_reset()
    assert dialogue.ends == [reasons.INTERNAL, reasons.INTERNAL]


# --- answers that are asked for again


@pytest.mark.parametrize("piece", [1 << 30, 1], ids=["whole", "bytes"])
async def test_the_policy_may_have_another_answer(converse: Converse, piece: int) -> None:
    dialogue = converse(lanes=2, retry_statuses=[502, 503])
    dialogue.policy.retries = True
    await play(dialogue, [*SENT, ("B>", HINTS), (">C", HINTS)])
    await play(dialogue, [("B>", UNAVAILABLE)], piece)
    await dialogue.told("lane_failed", reasons.STATUS_RETRIED)
    dialogue.backend = dialogue.backends[1]
    await play(dialogue, A_GET[1:], piece)
    assert dialogue.told_of("asks_again") == [("asks_again", 503)]
    assert dialogue.exchange.status == 200


@pytest.mark.parametrize(("listed", "asked"), [([503], [("asks_again", 503)]), ([502], []), ([], [])])
async def test_or_take_it_as_it_is(converse: Converse, listed: list[int], asked: list[tuple[object, ...]]) -> None:
    dialogue = converse(retry_statuses=listed)
    await play(dialogue, [*SENT, ("B>", UNAVAILABLE), (">C", UNAVAILABLE)])
    await dialogue.told("finished", reasons.DONE, True)
    assert dialogue.told_of("asks_again", "lane_failed") == asked


async def test_nobody_is_asked_about_the_rest_of_an_answer(converse: Converse) -> None:
    dialogue = retrying(converse)
    await play(dialogue, [*SENT, ("B>", head(LENGTH) + b"hello"), (">C", head(LENGTH) + b"hello"), ("B>.", b"")])
    await dialogue.client.is_reset()
    assert dialogue.told_of("lane_failed") == []
    assert dialogue.ends == [reasons.RESPONSE_CUT_BODY]


async def test_a_request_that_is_not_sent_again_is_refused(converse: Converse) -> None:
    dialogue = converse()
    await play(dialogue, [*SENT, ("B>.", b""), (">C", refusal(reasons.LANE_LOST, keep=True))])
