"""Stopping, faults of lbproxy, and what is kept for the log."""

from __future__ import annotations

import logging
from contextlib import suppress

import pytest

from lbproxy import reasons
from lbproxy.net.http.phases import Phase
from lbproxy.net.transport.poller import Poller
from tests.net.dialogue import Step, answer, forwarded, play, refusal, request
from tests.net.http.conftest import Converse
from tests.net.http.scenes import A_GET, CLOSE, PHASES, SENT, SWITCHED, UPGRADE, sent_by_client
from tests.net.peers import until

# --- stopping


async def test_drain_ends_an_idle_connection_at_once(converse: Converse) -> None:
    dialogue = converse()
    await play(dialogue, A_GET)
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


# --- without a log


async def test_without_a_log_nothing_is_kept_for_it(converse: Converse) -> None:
    dialogue = converse(logs=False)
    await dialogue.client.send(request(b"GET /x", b"User-Agent: UA"))
    await dialogue.backend.receive()
    assert (dialogue.exchange.target, dialogue.exchange.user_agent) == (b"", b"")
