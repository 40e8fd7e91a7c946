"""The phases of an exchange: who may follow whom, and that somebody is always waited for with a deadline."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lbproxy import reasons
from lbproxy.net.http.phases import Phase, moves
from lbproxy.net.transport.poller import Poller
from tests.net.dialogue import play, refusal, request
from tests.net.http.conftest import Converse
from tests.net.http.scenes import A_GET, SENT
from tests.net.peers import until

DOCS = Path(__file__).parents[3] / "docs" / "life-of-a-request.md"


def test_the_docs_have_the_table() -> None:
    rows = re.findall(r"^\| `([A-Z]+)` \|.*\| ([^|]+) \|$", DOCS.read_text(), re.MULTILINE)
    assert {phase.lower(): re.findall(r"[A-Z]+", then) for phase, then in rows} == {
        phase: [each.upper() for each in then] for phase, then in moves().items()
    }


def test_every_phase_but_the_last_may_end_the_connection() -> None:
    assert list(moves()) == [phase.name.lower() for phase in Phase]
    assert [phase for phase, then in moves().items() if "ended" not in then] == ["ended"]
    assert moves()["ended"] == []


async def test_a_move_that_is_not_in_the_table_is_refused(converse: Converse) -> None:
    dialogue = converse(lanes=2)
    await play(dialogue, SENT)
    with pytest.raises(RuntimeError, match="sent is out of order"):
        dialogue.exchange.run(dialogue.lanes[1], True)


async def test_a_request_is_not_sent_on_a_closed_lane(converse: Converse) -> None:
    dialogue = converse()
    dialogue.lanes[0].close()
    await dialogue.client.send(request())
    await dialogue.client.is_reset()
    assert dialogue.ends == [reasons.INTERNAL, reasons.INTERNAL]


async def test_a_request_whose_lane_is_nowhere_ends_with_the_next_tick(converse: Converse, poller: Poller) -> None:
    """The policy has promised a lane, and opened none."""
    dialogue = converse()
    dialogue.policy.waits = True
    await dialogue.client.send(request())
    await dialogue.told("route")
    poller.tick()
    await dialogue.client.is_reset()
    assert reasons.INTERNAL in dialogue.ends


@pytest.mark.parametrize("whose", ["client", "lane"])
async def test_a_request_that_nobody_watches_ends_with_the_next_tick(
    converse: Converse, poller: Poller, whose: str
) -> None:
    dialogue = converse()
    await play(dialogue, SENT)
    exchange = dialogue.exchange
    assert exchange.link is not None
    poller.tick()
    assert exchange.phase is Phase.SENT
    if whose == "lane":
        exchange.link.close()  # behind the back of the exchange
    else:
        exchange.link.deadline = 0
    poller.tick()
    await dialogue.client.is_reset()
    assert reasons.INTERNAL in dialogue.ends


async def test_a_connection_is_watched_between_its_requests(converse: Converse, poller: Poller) -> None:
    dialogue = converse()
    for steps in (A_GET, [("C>", request(b"GET /denied")), (">C", refusal(reasons.DENIED_PATH, keep=True))], A_GET):
        await play(dialogue, steps)
        await until(lambda: dialogue.exchange.phase is Phase.IDLE)
        poller.tick()
        assert dialogue.exchange.client.deadline > poller.now
