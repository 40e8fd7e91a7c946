from __future__ import annotations

from typing import Any

import pytest

from lbproxy.control.etcd import Access, Etcd
from lbproxy.control.fleet import keys
from lbproxy.control.fleet.rollouts import Rollouts
from lbproxy.errors import AdminError

PROGRESS = {"target": "c1", "step": "", "updated": []}


def at(target: str, *updated: str) -> dict[str, Any]:
    return {"target": target, "step": "stays drained", "updated": list(updated)}


@pytest.fixture
def one(etcd: Etcd, fleet_name: str) -> Rollouts:
    return Rollouts(etcd, fleet_name, "lb1")


@pytest.fixture
def other(etcd: Etcd, fleet_name: str) -> Rollouts:
    return Rollouts(etcd, fleet_name, "lb2")


async def see(etcd: Etcd, fleet_name: str, rollouts: Rollouts) -> list[tuple[str, str, bool, str, list[str]]]:
    listing = await etcd.list(keys.rollouts(fleet_name))
    rollouts.see({each.key: each for each in listing.values})
    return [(view["pool"], view["by"], view["held"], view["target"], view["updated"]) for view in rollouts.views]


async def test_a_pool_has_one_at_a_time(etcd: Etcd, fleet_name: str, one: Rollouts, other: Rollouts) -> None:
    ticket = await one.begin("p", "olga", PROGRESS, 5.0)
    ticket = await one.renew("p", ticket, "olga", at("c2", "c1"), 6.0)
    with pytest.raises(AdminError) as raised:
        await other.begin("p", "bert", PROGRESS, 7.0)
    assert str(raised.value) == "olga on lb1 rolls out pool p already, at c2; a pool has one rollout at a time"
    raw = await other.begin("raw", "bert", PROGRESS, 7.0)
    assert await see(etcd, fleet_name, other) == [("p", "olga", True, "c2", ["c1"]), ("raw", "bert", True, "c1", [])]
    await one.end("p", ticket, done=True)
    await other.end("raw", raw, done=False)
    assert await see(etcd, fleet_name, other) == [("raw", "bert", False, "c1", [])]
    await other.begin("p", "bert", PROGRESS, 8.0)


async def test_one_whose_command_died_leaves_its_progress(
    etcd: Etcd, fleet_name: str, one: Rollouts, other: Rollouts
) -> None:
    ticket = await one.begin("p", "olga", at("c2", "c1"), 5.0)
    await etcd.revoke(int(ticket, 16))
    assert await see(etcd, fleet_name, one) == [("p", "olga", False, "c2", ["c1"])]
    again = await other.begin("p", "bert", at("c2"), 6.0)
    with pytest.raises(AdminError, match="bert on lb2 rolls out pool p already"):
        await one.renew("p", ticket, "olga", at("c2", "c1"), 7.0)
    await one.end("p", ticket, done=True)
    assert (await see(etcd, fleet_name, one))[0][:3] == ("p", "bert", True), "it is not its own any more"
    await other.end("p", again, done=True)


async def test_a_lock_that_was_lost_is_taken_again(etcd: Etcd, one: Rollouts) -> None:
    """etcd was gone for longer than the lease."""
    ticket = await one.begin("p", "olga", PROGRESS, 5.0)
    await etcd.revoke(int(ticket, 16))
    again = await one.renew("p", ticket, "olga", PROGRESS, 5.0)
    assert again != ticket
    assert await one.renew("p", again, "olga", PROGRESS, 5.0) == again


async def test_what_makes_no_sense(etcd: Etcd, fleet_name: str, one: Rollouts) -> None:
    with pytest.raises(AdminError, match="'xyz' is not the ticket of a rollout"):
        await one.end("p", "xyz", done=True)
    prefix = keys.rollouts(fleet_name)
    await etcd.put(f"{prefix}p/progress", b'{"format":9}')
    await etcd.put(f"{prefix}q/progress", keys.encode({"by": "olga"}))
    strange = {"by": "olga", "replica": "lb1", "since": 1e300, "step": "drain"}
    await etcd.put(f"{prefix}r/progress", keys.encode(strange))
    assert await see(etcd, fleet_name, one) == []
    assert [*one.ignored] == [f"{prefix}{pool}/progress" for pool in "pqr"]
    await etcd.put(f"{prefix}q/lock", b"x")
    with pytest.raises(AdminError, match="another rollout of pool q is under way; a pool has one rollout at a time"):
        await one.begin("q", "olga", PROGRESS, 5.0)


async def test_without_etcd_none_begins() -> None:
    etcd = Etcd(Access(("http://127.0.0.1:9",)))
    with pytest.raises(AdminError, match="the fleet cannot be asked, and a rollout needs all of it: etcd"):
        await Rollouts(etcd, "f", "lb1").begin("p", "olga", PROGRESS, 5.0)
    await etcd.close()


async def test_one_that_is_cancelled_hears_of_it_and_leaves_its_progress(
    etcd: Etcd, fleet_name: str, one: Rollouts, other: Rollouts
) -> None:
    ticket = await one.begin("p", "olga", at("c2", "c1"), 5.0)
    await other.cancel("p", "bert")
    with pytest.raises(AdminError, match="the rollout was cancelled by bert"):
        await one.renew("p", ticket, "olga", at("c3", "c1", "c2"), 6.0)
    await one.end("p", ticket, done=False)
    assert await see(etcd, fleet_name, one) == [("p", "olga", False, "c2", ["c1"])]
    await other.cancel("p", "bert")
    assert await see(etcd, fleet_name, one) == [], "that of one that has stopped is forgotten"
    with pytest.raises(AdminError, match="there is no rollout of pool p"):
        await other.cancel("p", "bert")
