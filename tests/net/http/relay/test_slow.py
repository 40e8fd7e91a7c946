"""A backend that is slow to answer: the policy is told, once, before response_timeout."""

from __future__ import annotations

import asyncio

import pytest

from lbproxy import reasons
from lbproxy.net.transport.poller import Poller
from tests.net.dialogue import RESPONSE_TIMEOUT, forwarded, play, refusal, request
from tests.net.http.conftest import Converse
from tests.net.http.scenes import A_GET, SENT, UPLOADED
from tests.net.peers import until

SLOW_AFTER = 2.0
MUCH = 2_000_000


async def test_it_is_told_once(converse: Converse, poller: Poller) -> None:
    dialogue = converse(slow_after=SLOW_AFTER)
    await play(dialogue, SENT)
    assert dialogue.lanes[0].deadline == poller.now + SLOW_AFTER
    dialogue.lane_expires()
    assert dialogue.told_of("slow", "lane_failed") == [("slow",)]
    assert dialogue.lanes[0].deadline == poller.now + RESPONSE_TIMEOUT - SLOW_AFTER
    dialogue.lane_expires()
    await dialogue.client.sees(refusal(reasons.RESPONSE_TIMEOUT, keep=True))
    assert dialogue.told_of("slow", "lane_failed") == [("slow",), ("lane_failed", reasons.RESPONSE_TIMEOUT)]


async def test_an_answer_that_comes_late_is_an_answer(converse: Converse) -> None:
    dialogue = converse(slow_after=SLOW_AFTER)
    await play(dialogue, SENT)
    dialogue.lane_expires()
    await play(dialogue, A_GET[2:])
    await dialogue.told("finished", reasons.DONE, True)
    await play(dialogue, SENT)
    dialogue.lane_expires()
    assert dialogue.told_of("slow") == [("slow",)] * 2, "each request is looked at anew"


async def test_the_next_lane_has_as_long(converse: Converse, poller: Poller) -> None:
    dialogue = converse(lanes=2, slow_after=SLOW_AFTER)
    dialogue.policy.retries = True
    await play(dialogue, SENT)
    dialogue.lane_expires()
    dialogue.backend.finish()
    await dialogue.backends[1].sees(forwarded())
    assert dialogue.lanes[1].deadline == poller.now + SLOW_AFTER
    dialogue.lane_expires()
    assert dialogue.told_of("slow") == [("slow",)] * 2


async def test_nobody_is_slow_while_the_client_sends(converse: Converse, poller: Poller) -> None:
    dialogue = converse(slow_after=SLOW_AFTER)
    await play(dialogue, UPLOADED)
    dialogue.waits_for("client")
    await play(dialogue, [("C>", b"world"), (">B", b"world")])
    dialogue.waits_for("lane")
    assert dialogue.lanes[0].deadline == poller.now + SLOW_AFTER


async def test_who_does_not_read_is_slow_too(converse: Converse, poller: Poller) -> None:
    """A frozen backend's kernel takes a part of a large body: no more time may go by for that."""
    dialogue = converse(slow="client and backend", slow_after=SLOW_AFTER)
    sending = asyncio.ensure_future(
        dialogue.client.send(request(b"POST /x", b"Content-Length: %d" % MUCH, body=b"x" * MUCH))
    )
    await until(lambda: dialogue.exchange.link and not dialogue.exchange.client.reading)
    assert dialogue.lanes[0].deadline == poller.now + SLOW_AFTER
    dialogue.lane_expires()
    assert dialogue.told_of("slow") == [("slow",)]
    assert dialogue.lanes[0].deadline == poller.now + RESPONSE_TIMEOUT - SLOW_AFTER
    dialogue.lane_expires()
    await dialogue.client.sees(refusal(reasons.RESPONSE_TIMEOUT))
    sending.cancel()


@pytest.mark.parametrize("slow_after", [0.0, RESPONSE_TIMEOUT])
async def test_there_is_none_that_would_come_too_late(converse: Converse, poller: Poller, slow_after: float) -> None:
    dialogue = converse(slow_after=slow_after)
    await play(dialogue, SENT)
    assert dialogue.lanes[0].deadline == poller.now + RESPONSE_TIMEOUT
    dialogue.lane_expires()
    assert dialogue.told_of("slow", "lane_failed") == [("lane_failed", reasons.RESPONSE_TIMEOUT)]
