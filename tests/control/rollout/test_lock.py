from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from lbproxy.control.fleet.views import CANCELLED, LOCK_HOLDS, ONE_AT_A_TIME
from lbproxy.control.rollout.lock import LOST_AFTER, RENEW_EVERY, run_alone
from lbproxy.control.rollout.plan import Target
from lbproxy.errors import AdminError, RolloutError
from tests.control.rollout.test_runner import Site
from tests.patience import until


class HeldLock:
    """A lock that is there; `refusal` is why it cannot be renewed."""

    def __init__(self, refusal: str = "") -> None:
        self.told: list[Any] = []
        self.refusal = refusal

    def begin(self, progress: dict[str, Any]) -> str:
        self.told.append(("begin", progress))
        return "a"

    def renew(self, ticket: str, progress: dict[str, Any]) -> str:
        if self.refusal:
            raise AdminError(self.refusal)
        self.told.append((ticket, progress["target"]))
        return f"{ticket}a"

    def end(self, ticket: str, done: bool) -> None:
        self.told.append(("end", ticket, done))


class Taken(HeldLock):
    """Another rollout has it."""

    def begin(self, progress: dict[str, Any]) -> str:
        raise AdminError(ONE_AT_A_TIME)


class Patient(Site):
    """Its command for c1 ends when the lock has been renewed."""

    def __init__(self, lock: HeldLock) -> None:
        super().__init__()
        self.lock = lock

    async def update(self, target: Target) -> None:
        await until(lambda: len(self.lock.told) >= 3, "the lock has been renewed")
        await super().update(target)


async def test_it_is_held_until_all_is_updated() -> None:
    lock = HeldLock()
    await run_alone(Patient(lock).rollout(), {"connectors": lock}, every=0.001)
    assert lock.told[0] == ("begin", {"target": "c1", "step": "", "updated": []})
    assert lock.told[1:3] == [("a", "c1"), ("aa", "c1")], "the last ticket is the one that counts"
    assert lock.told[-1][0::2] == ("end", True)


async def test_a_rollout_that_stops_gives_it_back() -> None:
    lock = HeldLock()
    with pytest.raises(RolloutError, match="connectors/c2: the command ended with status 3"):
        await run_alone(Site(broken="c2").rollout(), {"connectors": lock}, every=3600)
    assert lock.told[-1] == ("end", "a", False)


@pytest.mark.parametrize(
    ("refusal", "patience"),
    [(f"bert on lb2 rolls out pool p already; {ONE_AT_A_TIME}", 3600), ("etcd: no answer", 0.1)],
)
async def test_a_lost_lock_stops_it_when_its_command_has_ended(refusal: str, patience: float) -> None:
    lock, site = HeldLock(refusal), Site(hanging="c1")
    rollout = site.rollout()
    running = asyncio.ensure_future(run_alone(rollout, {"connectors": lock}, every=0.05, patience=patience))
    await site.began.wait()
    await until(lambda: rollout.stopping, "the rollout stops")
    assert not running.done()
    site.go_on.set()
    with pytest.raises(RolloutError) as raised:
        await running
    assert str(raised.value).startswith(f"connectors/c1: the lock of the pool is lost: {refusal}\n")
    assert site.story[-1] == "c1: command done"


def test_a_command_gives_up_before_another_one_may_begin() -> None:
    assert LOST_AFTER + RENEW_EVERY < LOCK_HOLDS


async def test_a_balancer_that_hangs_has_not_renewed_it() -> None:
    release = threading.Event()

    class Hanging(HeldLock):
        def renew(self, ticket: str, progress: dict[str, Any]) -> str:
            release.wait()
            return ticket

    site = Site(hanging="c1")
    rollout = site.rollout()
    running = asyncio.ensure_future(run_alone(rollout, {"connectors": Hanging()}, every=0.01, patience=0.05))
    await until(lambda: rollout.stopping, "the rollout stops")
    release.set()
    site.go_on.set()
    with pytest.raises(RolloutError, match="the lock of the pool is lost: the balancer does not answer"):
        await running


async def test_one_that_is_cancelled_stops_and_says_who_did_it() -> None:
    refusal = f"{CANCELLED} by bert via lbproxy"
    lock, site = HeldLock(refusal), Site(hanging="c1")
    with pytest.raises(RolloutError) as raised:
        await run_alone(site.rollout(), {"connectors": lock}, every=0.05)
    assert str(raised.value).splitlines()[0] == refusal


async def test_none_begins_without_it() -> None:
    site = Site()
    with pytest.raises(AdminError):
        await run_alone(site.rollout(), {"connectors": Taken()})
    assert site.story == []


async def test_none_begins_without_the_locks_of_all_its_pools() -> None:
    """They are taken in the order of their names, so that one of two rollouts gets them all."""
    site, lock, never = Site(), HeldLock(), HeldLock()
    with pytest.raises(AdminError):
        await run_alone(site.rollout(), {"raw": never, "p": Taken(), "connectors": lock})
    assert site.story == never.told == []
    assert [one[0] for one in lock.told] == ["begin", "end"]
    assert lock.told[-1] == ("end", "a", True), "it has told nothing that is to stay"


async def test_all_are_given_back_and_its_own_pool_keeps_how_to_go_on() -> None:
    locks = {"raw": HeldLock(), "connectors": HeldLock()}
    with pytest.raises(RolloutError):
        await run_alone(Site(broken="c2").rollout(), locks, every=3600)
    assert {pool: lock.told[-1] for pool, lock in locks.items()} == {
        "raw": ("end", "a", True), "connectors": ("end", "a", False)
    }  # fmt: skip


async def test_without_a_fleet_there_are_none() -> None:
    site = Site()
    await run_alone(site.rollout(), {})
    assert site.story[-1] == "c3: in rotation"
