from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from lbproxy.control.etcd import Access, Etcd
from lbproxy.control.fleet import keys
from lbproxy.control.fleet.fleet import Fleet, Memory, Place
from lbproxy.control.fleet.views import FleetView, ReplicaView
from tests.control.fleet.made import replica

Make = Callable[..., Fleet]


class BareBalancer:
    """A balancer with nothing behind it."""

    def __init__(self) -> None:
        self.now = "serving"
        self.counted = {"connectors": {"up": 2}}

    def state(self) -> str:
        return self.now

    def backends(self) -> dict[str, dict[str, int]]:
        return self.counted


def place(fleet: str, replica: str, **changed: Any) -> Place:
    made = Place(fleet, replica, "h1", 10.0, f"run of {replica}", 1, "0.1.0", "abc", {"login": "connectors"})
    return made._replace(**changed)


@pytest.fixture
async def make(etcd: Etcd, fleet_name: str) -> AsyncIterator[Make]:
    """A fleet that is started and has joined."""
    async with AsyncExitStack() as stack:

        def start(replica: str, memory: Memory | None = None, **changed: Any) -> Fleet:
            fleet = Fleet(etcd, place(fleet_name, replica, **changed), BareBalancer(), memory)
            fleet.start()
            fleet.join()
            stack.push_async_callback(fleet.stop)
            return fleet

        yield start


async def until(fleet: Fleet, condition: Callable[[FleetView], object]) -> FleetView:
    """What it knows, when that is so."""
    while not condition(view := fleet.view()):  # noqa: ASYNC110 # as a scrape would look
        await asyncio.sleep(0.005)
    return view


def one(view: FleetView, name: str) -> ReplicaView | None:
    return next((each for each in view["replicas"] if each["name"] == name), None)


async def test_replicas_know_each_other(make: Make) -> None:
    first, second = make("lb1"), make("lb2", configuration="other", listeners={"raw": "b"})
    for fleet in (first, second):
        view = await until(fleet, lambda view: len(view["replicas"]) == 2)
        assert [each["this"] for each in view["replicas"]] == [fleet is first, fleet is second]
    view = await until(first, lambda view: view["membership"] == "member")
    assert (view["replica"], view["unreachable_since"], view["error"], view["ignored"]) == ("lb1", None, "", {})
    second_view = one(view, "lb2")
    assert second_view is not None
    assert second_view["listeners"] == {"raw": "b"}
    assert second_view["backends"] == {"connectors": {"up": 2}}
    assert [(each["what"], each["here"]) for each in second_view["differs"]] == [("configuration", "other")]


async def test_one_that_ends_leaves_and_one_that_dies_is_missed(make: Make, etcd: Etcd, fleet_name: str) -> None:
    first, second = make("lb1"), make("lb2")
    lease, _ = await etcd.grant(60)
    await etcd.put(f"{keys.replicas(fleet_name)}lb3", replica(run="3").encode(), lease)
    await until(first, lambda view: len(view["replicas"]) == 3)
    await second.stop()
    await until(first, lambda view: one(view, "lb2") is None)
    await etcd.revoke(lease)
    view = await until(first, lambda view: (missed := one(view, "lb3")) and missed["gone"])
    assert [each["name"] for each in view["replicas"]] == ["lb1", "lb3"]


async def test_the_next_generation_goes_on(make: Make) -> None:
    first = make("lb1")
    before = await until(first, lambda view: one(view, "lb1"))
    second = make("lb1", first.memory(), generation=2, configuration="new")
    after = await until(second, lambda view: (this := one(view, "lb1")) and this["configuration"] == "new")
    await until(first, lambda view: view["membership"] == "replaced")
    await first.stop()
    old, new = one(before, "lb1"), one(after, "lb1")
    assert old is not None
    assert new is not None
    assert new["since"] == old["since"]
    assert new["configured"] > old["configured"]
    assert one(second.view(), "lb1") is not None


async def test_without_etcd(fleet_name: str) -> None:
    etcd = Etcd(Access(("http://127.0.0.1:9",)))
    fleet = Fleet(etcd, place(fleet_name, "lb1"), BareBalancer())
    fleet.start()
    fleet.join()
    view = await until(fleet, lambda view: view["unreachable_since"])
    assert (view["membership"], view["replicas"]) == ("joining", [])
    assert view["error"] == "etcd http://127.0.0.1:9: connection refused"
    await fleet.stop()
    await etcd.close()


async def test_a_value_that_is_not_understood_is_told(make: Make, etcd: Etcd, fleet_name: str) -> None:
    key = f"{keys.replicas(fleet_name)}lb9"
    await etcd.put(key, b'{"format":2,"mood":"fine"}')
    view = await until(make("lb1"), lambda view: view["ignored"])
    assert view["ignored"] == {key: "its format is not 1: a newer lbproxy has written it"}
