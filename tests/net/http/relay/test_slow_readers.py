"""Memory is bounded, both ways, and nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest

from lbproxy import reasons
from lbproxy.net.http.phases import Phase
from lbproxy.net.transport.poller import Poller
from tests.net.dialogue import IDLE_TIMEOUT, answer, forwarded, head, nobody_waits_for_ever, play, refusal, request
from tests.net.http.conftest import Converse
from tests.net.http.scenes import SENT, UPLOADED
from tests.net.peers import until

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
