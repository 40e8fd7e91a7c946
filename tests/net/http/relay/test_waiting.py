"""Nobody is waited for in vain: clients that go away, and deadlines, in every phase."""

from __future__ import annotations

import pytest

from lbproxy import reasons
from lbproxy.net.http.phases import Phase
from lbproxy.net.transport.poller import Poller
from tests.net.dialogue import HEADER_TIMEOUT, IDLE_TIMEOUT, RESPONSE_TIMEOUT, head, play, refusal, request
from tests.net.http.conftest import Converse
from tests.net.http.scenes import A_GET, PHASES, SENT, UPLOADED, sent_by_client
from tests.net.peers import until

# --- clients that go away, in every phase


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
    await play(dialogue, A_GET)
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
        await play(dialogue, A_GET)
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
