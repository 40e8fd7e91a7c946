from __future__ import annotations

from typing import Any

import pytest

from lbproxy.control.fleet.views import LOCK_HOLDS
from lbproxy.control.rollout.local import LocalRollouts
from lbproxy.errors import AdminError

AT_C1: dict[str, Any] = {"target": "c1", "step": "stays drained; its command was not run", "updated": []}
AT_C2: dict[str, Any] = {"target": "c2", "step": "", "updated": ["c1"]}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rollouts(clock: Clock) -> LocalRollouts:
    return LocalRollouts(("connectors", "raw"), clock)


async def test_a_pool_has_one_at_a_time(rollouts: LocalRollouts) -> None:
    ticket = await rollouts.begin("connectors", "olga", AT_C1, 5.0)
    with pytest.raises(AdminError) as refused:
        await rollouts.begin("connectors", "otto", AT_C1, 6.0)
    assert str(refused.value) == "olga rolls out pool connectors already, at c1; a pool has one rollout at a time"
    await rollouts.begin("raw", "otto", AT_C1, 6.0)
    assert await rollouts.renew("connectors", ticket, "olga", AT_C2, 7.0) == ticket
    assert rollouts.views[0] == {
        "pool": "connectors", "by": "olga", "replica": "", "since": 5.0, "held": True, "target": "c2", "step": "",
        "updated": ["c1"],
    }  # fmt: skip
    await rollouts.end("connectors", ticket, done=True)
    assert [one["pool"] for one in rollouts.views] == ["raw"]
    await rollouts.begin("connectors", "otto", AT_C1, 8.0)
    await rollouts.end("connectors", ticket, done=True)  # which is not his
    assert [one["pool"] for one in rollouts.views] == ["connectors", "raw"]


async def test_a_pool_that_there_is_not_takes_no_memory(rollouts: LocalRollouts) -> None:
    with pytest.raises(AdminError, match="there is no pool x; there is connectors, raw"):
        await rollouts.begin("x", "olga", AT_C1, 5.0)
    assert (rollouts.views, repr(rollouts)) == ([], "<rollouts of no pool>")


async def test_what_makes_no_sense(rollouts: LocalRollouts) -> None:
    for ticket in ("", "x", "0" * 17, "\n0"):
        with pytest.raises(AdminError, match="is not the ticket of a rollout"):
            await rollouts.renew("connectors", ticket, "olga", AT_C1, 5.0)
        with pytest.raises(AdminError, match="is not the ticket of a rollout"):
            await rollouts.end("connectors", ticket, done=True)
    for act in (rollouts.end("x", "0", done=True), rollouts.cancel("x", "olga")):
        with pytest.raises(AdminError, match="there is no pool x"):
            await act
    assert rollouts.views == []


async def test_one_whose_command_was_killed_ends_by_itself_and_leaves_its_progress(
    rollouts: LocalRollouts, clock: Clock
) -> None:
    ticket = await rollouts.begin("connectors", "olga", AT_C1, 5.0)
    clock.now += LOCK_HOLDS - 1
    assert await rollouts.renew("connectors", ticket, "olga", AT_C2, 6.0) == ticket
    clock.now += LOCK_HOLDS
    [left] = rollouts.views
    assert (left["held"], left["target"], left["updated"]) == (False, "c2", ["c1"])
    assert await rollouts.renew("connectors", ticket, "olga", AT_C2, 6.0) == ticket  # it was only stopped for a while
    clock.now += LOCK_HOLDS
    other = await rollouts.begin("connectors", "otto", AT_C2, 7.0)
    with pytest.raises(AdminError, match="otto rolls out pool connectors already"):
        await rollouts.renew("connectors", ticket, "olga", AT_C2, 8.0)
    assert await rollouts.renew("connectors", other, "otto", AT_C2, 8.0) == other


async def test_one_that_is_cancelled_hears_of_it_and_is_forgotten_the_second_time(rollouts: LocalRollouts) -> None:
    ticket = await rollouts.begin("connectors", "olga", AT_C2, 5.0)
    await rollouts.cancel("connectors", "otto")
    assert rollouts.views[0]["held"], "its command still has to hear of it"
    with pytest.raises(AdminError, match="the rollout was cancelled by otto"):
        await rollouts.renew("connectors", ticket, "olga", AT_C2, 6.0)
    await rollouts.end("connectors", ticket, done=False)
    assert not rollouts.views[0]["held"]
    await rollouts.cancel("connectors", "otto")
    assert rollouts.views == []
    with pytest.raises(AdminError, match="there is no rollout of pool connectors"):
        await rollouts.cancel("connectors", "otto")


async def test_the_next_generation_goes_on(rollouts: LocalRollouts, clock: Clock) -> None:
    ticket = await rollouts.begin("connectors", "olga", AT_C2, 5.0)
    stopped = await rollouts.begin("raw", "otto", AT_C1, 5.0)
    await rollouts.end("raw", stopped, done=False)
    known = rollouts.views
    following = LocalRollouts(("connectors", "raw"), clock)
    following.adopt(rollouts.export())
    clock.now += 10 * LOCK_HOLDS  # so long does it start
    assert following.views == known
    assert [one["held"] for one in known] == [True, False]
    following.resume()
    clock.now += LOCK_HOLDS - 1
    assert await following.renew("connectors", ticket, "olga", AT_C2, 6.0) == ticket
    without = LocalRollouts(("raw",), clock)
    without.adopt(following.export())
    assert [one["pool"] for one in without.views] == ["raw"]


async def test_a_balancer_that_began_anew_takes_the_lock_that_a_command_keeps(rollouts: LocalRollouts) -> None:
    ticket = await rollouts.renew("connectors", "0", "olga", AT_C2, 5.0)
    assert ticket != "0"
    assert rollouts.views[0]["held"]
