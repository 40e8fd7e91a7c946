from __future__ import annotations

import asyncio
import gc
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from lbproxy.balance.operators import Said
from lbproxy.balance.orders import Order, Stamp
from lbproxy.control.etcd import Access, Etcd
from lbproxy.control.fleet import keys
from lbproxy.control.fleet.fleet import Fleet, Memory
from lbproxy.control.fleet.order_book import Key
from lbproxy.control.fleet.place import Place
from lbproxy.control.fleet.views import FleetView, ReplicaView
from tests.control.fleet.made import NOW, replica
from tests.control.probes.backends import listening
from tests.etcd_server import node
from tests.patience import until as soon

Make = Callable[..., Fleet]

SECRET = os.urandom(64)
C1 = Key("p", "c1")


class BareBalancer:
    """A balancer with nothing behind it."""

    def __init__(self) -> None:
        self.now = "serving"
        self.counted = {"connectors": {"up": 2}}
        self.told: dict[tuple[str, str], Said] = {}
        self.busy: dict[str, str] = {}
        self.before: list[tuple[str, str, Said]] = []
        self.all_counted = True
        self.down: dict[str, int] = {}
        self.probed: list[str] = []
        self.sealed: tuple[list[bytes], bool] = [], False
        self.heard_before: int | None = 1 << 40  # by generations before

    def state(self) -> str:
        return self.now

    def backends(self) -> dict[str, dict[str, int]]:
        return self.counted

    def ordered(self) -> list[tuple[str, str, Said]]:
        return self.before

    def apply(self, pool: str, name: str, told: Said) -> None:
        self.told[pool, name] = told

    def has(self, pool: str, name: str) -> bool:
        return name == "c1"

    def ejected(self) -> dict[str, int]:
        return self.down

    def rotation(self) -> dict[str, int]:
        return {"connectors": 2}

    def out(self) -> list[str]:
        return ["connectors/c9"]

    def probe(self, pool: str, name: str) -> bool:
        self.probed.append(f"{pool}/{name}")
        return True

    def seal(self, secrets: Sequence[bytes], first: bool) -> None:
        self.sealed = [*secrets], first

    async def count(self) -> bool:
        return self.all_counted

    def heard(self, revision: int) -> int | None:
        return None if self.heard_before is None else min(revision, self.heard_before)

    def left(self) -> dict[str, str]:
        return {name: what for name, what in self.busy.items() if what}


def place(fleet: str, replica: str, **changed: Any) -> Place:
    made = Place(fleet, replica, "h1", 10.0, f"run of {replica}", 1, "0.1.0", "abc", {"login": "connectors"})
    return made._replace(**changed)


@pytest.fixture
async def make(etcd: Etcd, fleet_name: str) -> AsyncIterator[Make]:
    """A fleet that is started and has joined."""
    async with AsyncExitStack() as stack:

        def start(
            replica: str,
            memory: Memory | None = None,
            balancer: BareBalancer | None = None,
            secret: bytes = b"",
            **changed: Any,
        ) -> Fleet:
            fleet = Fleet(etcd, place(fleet_name, replica, **changed), balancer or BareBalancer(), memory, secret)
            fleet.start()
            fleet.join()
            stack.push_async_callback(fleet.stop)
            return fleet

        yield start


def waits(fleet: Fleet) -> dict[str, str]:
    """What the orders for the instance c1 wait for at each replica that `fleet` knows; "" where that is nothing."""
    return {it["replica"]: it["what"] for it in fleet.instance([("connectors", "c1")])["replicas"]}


async def until(fleet: Fleet, condition: Callable[[FleetView], object]) -> FleetView:
    """What it knows, when that is so."""
    await soon(lambda: condition(fleet.view()), f"{fleet!r} knows what is wanted")
    return fleet.view()


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


DRAINED = Said(None, Order(drain=True, stamps={"drain": Stamp("olga", NOW)}))


async def test_an_order_holds_everywhere_and_is_waited_for(make: Make) -> None:
    there = BareBalancer()
    here, other = make("lb1"), make("lb2", balancer=there)
    await until(here, lambda view: len(view["replicas"]) == 2)
    there.busy = {"connectors/c1": "2 requests"}
    here.give("connectors", "c1", DRAINED, Stamp("olga", NOW), ("drain",))
    await here.orders.settled()
    assert here.instance([("connectors", "c1")])["here_only"] == ""
    await until(other, lambda view: view["orders"])
    assert there.told["connectors", "c1"].order.stamps == {"drain": Stamp("olga on lb1", NOW)}

    await until(here, lambda _: waits(here) == {"lb2": "2 requests to finish"})
    there.busy = {}
    await until(here, lambda _: waits(here) == {"lb2": ""})
    [order] = here.view()["orders"]
    assert order["given"] == {"drain": {"value": True, "by": "olga", "at": NOW, "replica": "lb1"}}
    assert (order["here_only"], order["waits"]) == ("", False)


async def test_what_was_not_counted_everywhere_is_not_acknowledged(make: Make) -> None:
    there = BareBalancer()
    here, other = make("lb1"), make("lb2", balancer=there)
    await until(here, lambda view: len(view["replicas"]) == 2)
    there.all_counted = False
    here.give("connectors", "c1", DRAINED, Stamp("olga", NOW))
    await until(other, lambda view: view["orders"])
    [waited] = here.instance([("connectors", "c1")])["replicas"]
    assert (waited["what"], waited["silent"]) == ("has not applied the order", False)
    there.all_counted = True
    await until(here, lambda _: waits(here) == {"lb2": ""})


async def test_what_a_generation_before_has_not_heard_is_not_acknowledged(make: Make) -> None:
    there = BareBalancer()
    here, other = make("lb1"), make("lb2", balancer=there)
    await until(here, lambda view: len(view["replicas"]) == 2)
    there.heard_before = None
    here.give("connectors", "c1", DRAINED, Stamp("olga", NOW))
    await until(other, lambda view: view["orders"])

    assert waits(here) == {"lb2": "has not applied the order"}
    assert waits(other)["lb2"] == "a generation before this one has not heard of the order"
    there.heard_before = other.orders.book.revision - 1
    assert "lb2" in waits(other)
    there.heard_before += 1
    await until(here, lambda _: waits(here) == {"lb2": ""})
    await until(other, lambda _: waits(other) == {"lb1": ""})


async def test_what_was_acknowledged_stays_so_after_a_reload(make: Make) -> None:
    """Else an order that is old by then would look like one that was never applied, for a moment."""
    here, before = make("lb1"), make("lb2")
    here.give("connectors", "c1", DRAINED, Stamp("olga", NOW))
    key = Key("connectors", "c1")
    await until(before, lambda _: 0 < before.orders.book.modified.get(key, 0) <= before.applied)
    balancer = BareBalancer()
    balancer.heard_before = None  # the generation before has not said anything yet
    after = make("lb2", before.memory(), balancer, generation=2)
    await until(after, lambda view: view["membership"] == "member")
    assert after.applied >= before.orders.book.modified[key]
    await until(here, lambda _: waits(here) == {"lb2": ""})


async def test_orders_outlive_all_replicas(make: Make) -> None:
    first = make("lb1")
    first.give("connectors", "c1", DRAINED, Stamp("olga", NOW))
    await first.orders.settled()
    await first.stop()
    balancer = BareBalancer()
    again = make("lb1", balancer=balancer, run="another")
    await again.begun()
    assert balancer.told["connectors", "c1"].order.drain


async def test_what_could_not_be_applied_before_is_applied_after_a_reload(make: Make) -> None:
    """The file had no such pool then: etcd says nothing new of it, so it comes from what is remembered."""
    other, before = make("lb2"), make("lb1")
    other.give("connectors", "c1", DRAINED, Stamp("olga", NOW))
    other.give("connectors", "c2", DRAINED, Stamp("olga", NOW))
    await until(before, lambda view: len(view["orders"]) == 2)
    balancer = BareBalancer()
    balancer.before = [("connectors", "c2", DRAINED)]
    after = make("lb1", before.memory(), balancer, generation=2)
    await after.begun()
    assert [*balancer.told] == [("connectors", "c1")], "what the pool has been told already is not told again"
    assert balancer.told["connectors", "c1"].order.drain


async def test_what_is_remembered_and_cannot_be_read_is_told(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    before = make("lb1")
    before.give("connectors", "c1", DRAINED, Stamp("olga", NOW))
    memory = before.memory()
    memory["orders"]["entries"][0][2]["drain"][0] = "perhaps"
    make("lb1", memory, generation=2)
    [told] = [vars(one)["fields"] for one in caplog.records if one.message == "fleet_order_forgotten"]
    assert told == {"pool": "connectors", "backend": "c1", "why": "drain is 'perhaps'"}


async def test_orders_from_before_the_fleet_are_brought_in(make: Make, etcd: Etcd, fleet_name: str) -> None:
    balancer = BareBalancer()
    balancer.before = [("connectors", "c1", DRAINED)]
    fleet = make("lb1", balancer=balancer)
    await until(fleet, lambda view: view["orders"] and not view["orders"][0]["here_only"])
    assert await etcd.get(f"{keys.orders(fleet_name)}connectors/c1") is not None


async def test_a_start_does_not_wait_for_an_etcd_that_is_not_there(
    fleet_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    etcd = Etcd(Access(("http://127.0.0.1:9",)))
    fleet = Fleet(etcd, place(fleet_name, "lb1"), BareBalancer())
    fleet.start()
    await fleet.begun()
    await until(fleet, lambda view: view["unreachable_since"])
    fleet.give("connectors", "c1", DRAINED, Stamp("olga", NOW))
    await fleet.orders.settled()
    assert fleet.instance([("connectors", "c1")])["here_only"] == "etcd http://127.0.0.1:9: connection refused"
    await fleet.stop()
    await etcd.close()
    gc.collect()
    assert not [one for one in caplog.records if one.name == "asyncio"], "nothing is left that nobody looks at"


async def _hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_a_node_of_etcd_that_says_nothing_is_not_etcd(make: Make, etcd_url: str, fleet_name: str) -> None:
    """The host has died: it closes no connection. A start has the orders, and the others get its own."""
    other = make("lb2")
    other.give("connectors", "c1", DRAINED, Stamp("olga", NOW))
    await other.orders.settled()
    balancer = BareBalancer()
    async with listening(_hang) as port:
        for begins in (True, False):
            etcd = Etcd(Access((f"http://127.0.0.1:{port}", *[etcd_url] * 4)))
            fleet = Fleet(etcd, place(fleet_name, "lb1"), balancer)
            if begins:
                fleet.start()
                await fleet.begun()
                assert balancer.told["connectors", "c1"].order.drain
            else:
                fleet.orders.start()
                fleet.give("connectors", "c2", DRAINED, Stamp("olga", NOW))
                await fleet.orders.settled()
                assert fleet.orders.here_only(Key("connectors", "c2")) == ""
            await fleet.stop()
            await etcd.close()


async def test_replicas_that_are_not_known_yet_may_be_there(etcd: Etcd, fleet_name: str) -> None:
    """Nobody is waited for: that must not be read as an order that is carried out everywhere."""
    fleet = Fleet(etcd, place(fleet_name, "lb1"), BareBalancer())
    assert fleet.instance([("connectors", "c1")])["here_only"] == "the other replicas are not known yet"
    fleet.start()
    await fleet.begun()
    assert fleet.instance([("connectors", "c1")])["here_only"] == ""
    await fleet.stop()


async def test_an_ejection_elsewhere_is_evidence_here(make: Make) -> None:
    here, there = BareBalancer(), BareBalancer()
    one, other = make("lb1", balancer=here), make("lb2", balancer=there)
    await until(one, lambda view: len(view["replicas"]) == 2)
    there.down = {"connectors/c1": 1}
    other.look()
    await until(one, lambda _: here.probed)
    assert (here.probed, there.probed) == (["connectors/c1"], [])


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    """An etcd with users: `reader` may read the keys of lbproxy, and write none."""
    with node(tmp_path) as server:
        server.ctl("user", "add", "root:root")
        server.ctl("user", "grant-role", "root", "root")
        server.ctl("role", "add", "readers")
        server.ctl("role", "grant-permission", "--prefix=true", "readers", "read", "/lbproxy/")
        server.ctl("user", "add", "reader:secret")
        server.ctl("user", "grant-role", "reader", "readers")
        server.ctl("auth", "enable")
        yield server.url


async def test_who_may_only_read_is_told_so(guarded: str, caplog: pytest.LogCaptureFixture) -> None:
    etcd = Etcd(Access((guarded,), user="reader", password="secret"))
    fleet = Fleet(etcd, place("f", "lb1"), BareBalancer())
    fleet.start()
    fleet.join()
    view = await until(fleet, lambda view: view["membership"] == "read-only")
    assert view["unreachable_since"] is None
    fleet.give("connectors", "c1", DRAINED, Stamp("olga", NOW))
    await fleet.orders.settled()
    assert fleet.instance([("connectors", "c1")])["here_only"] == f"etcd {guarded}: permission denied"
    assert [record.message for record in caplog.records].count("fleet_read_only") == 1
    await fleet.stop()
    await etcd.close()


async def test_wrong_credentials_are_told_and_nothing_of_the_password(
    guarded: str, caplog: pytest.LogCaptureFixture
) -> None:
    etcd = Etcd(Access((guarded,), user="reader", password="guessed"))
    fleet = Fleet(etcd, place("f", "lb1"), BareBalancer())
    fleet.start()
    fleet.join()
    view = await until(fleet, lambda view: view["error"])
    assert "authentication failed" in view["error"]
    await until(fleet, lambda _: "fleet_unreachable" in caplog.text)
    assert "guessed" not in caplog.text + str(fleet.view()) + repr(fleet)
    await fleet.stop()
    await etcd.close()


async def test_what_the_generation_before_was_told_does_not_undo_what_was_ordered_later(make: Make) -> None:
    """It is told on while the next one starts, which may know of another replica's order by then."""
    old, other = make("lb1"), make("lb2")
    balancer = BareBalancer()
    memory = json.loads(json.dumps(old.memory()))
    old.give("p", "c1", Said(None, Order()), Stamp("olga", NOW), ("drain",))
    given = json.loads(json.dumps(old.given("p", "c1")))
    await old.orders.settled()
    await soon(lambda: C1 in other.orders.book.entries, "the other one has heard of it")
    other.give("p", "c1", Said(None, Order(drain=True)), Stamp("bert", NOW + 1), ("drain",))
    await other.orders.settled()
    new = make("lb1", memory, balancer, generation=2)
    await soon(lambda: ("p", "c1") in balancer.told, "the order of etcd is carried out")
    new.hear("p", "c1", Said(None, Order()), given)
    assert new.orders.book.said(C1).order.drain
    assert balancer.told["p", "c1"].order.drain
    assert new.orders.book.said(C1).order.stamps["drain"] == Stamp("bert on lb2", NOW + 1)
    assert not new.orders.book.pending


async def test_what_the_generation_before_was_told_is_known_also_without_etcd(make: Make) -> None:
    old, balancer = make("lb1"), BareBalancer()
    memory = old.memory()
    old.give("p", "c1", Said(None, Order(drain=True)), Stamp("olga", NOW), ("drain",))
    new = make("lb1", memory, balancer, generation=2)
    new.hear("p", "c1", Said(None, Order(drain=True)), old.given("p", "c1"))
    assert balancer.told["p", "c1"].order.drain
    new.hear("p", "c2", Said(None, Order(drain=True)), None)
    assert balancer.told["p", "c2"].order.drain, "of a generation that has no fleet, or is of a version before"
    assert Key("p", "c2") in new.orders.book.pending


# --- keys of session tickets


async def shares(fleet: Fleet) -> FleetView:
    return await until(fleet, lambda view: view["tickets"] and view["tickets"]["shared"])


async def test_replicas_with_one_secret_seal_alike(make: Make) -> None:
    one, other, alone = BareBalancer(), BareBalancer(), BareBalancer()
    for fleet in (make("lb1", balancer=one, secret=SECRET), make("lb2", balancer=other, secret=SECRET)):
        await shares(fleet)
    assert one.sealed == other.sealed
    assert (len(one.sealed[0]), one.sealed[1]) == (2, True)
    without = make("lb3", balancer=alone)
    await until(without, lambda view: len(view["replicas"]) == 3)
    assert (without.view()["tickets"], alone.sealed) == (None, ([], False))


async def test_a_secret_that_differs_is_named_everywhere(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    fleets = [make("lb1", secret=SECRET), make("lb2", secret=SECRET), make("lb3", secret=os.urandom(64))]
    for fleet in fleets:
        view = await until(
            fleet, lambda view: len(view["replicas"]) == 3 and any(it["differs"] for it in view["replicas"])
        )
        differs = {each["name"]: [it["what"] for it in each["differs"]] for each in view["replicas"]}
        assert differs == {"lb1": [], "lb2": [], "lb3": ["secret_file"]}
        await shares(fleet)
    told = [record.__dict__["fields"]["replica"] for record in caplog.records if record.msg == "fleet_secret_differs"]
    assert sorted(told) == ["lb1", "lb2", "lb3", "lb3"]
    assert SECRET.hex() not in str([fleet.view() for fleet in fleets]) + caplog.text


async def test_the_next_generation_seals_as_before_and_a_new_secret_is_another_configuration(make: Make) -> None:
    before, after, changed = BareBalancer(), BareBalancer(), BareBalancer()
    first = make("lb1", balancer=before, secret=SECRET)
    await shares(first)
    memory = json.loads(json.dumps(first.memory()))
    begun = one(await until(first, lambda view: one(view, "lb1")), "lb1")
    first.retire()
    second = make("lb1", memory, after, secret=SECRET, generation=2)
    assert after.sealed == before.sealed, "at once"
    third = make("lb1", second.memory(), changed, secret=os.urandom(64), generation=3)
    assert changed.sealed == ([], False)
    assert begun is not None
    since = begun["configured"]
    await until(third, lambda view: (it := one(view, "lb1")) and it["configured"] > since)
