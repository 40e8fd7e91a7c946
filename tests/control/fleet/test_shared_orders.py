from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from lbproxy.balance.operators import Said
from lbproxy.balance.orders import Order, Stamp
from lbproxy.control import tasks
from lbproxy.control.etcd import Access, Etcd, View
from lbproxy.control.fleet import keys, shared_orders
from lbproxy.control.fleet.order_book import Key, OrderBook
from lbproxy.control.fleet.reach import Reach
from lbproxy.control.fleet.shared_orders import SharedOrders
from tests.control.fleet.made import NOW
from tests.etcd_server import node
from tests.patience import within

C1 = Key("p", "c1")
DRAIN = Said(None, Order(drain=True))
Make = Callable[..., "Replica"]


class Replica:
    """Orders of one replica, which follow etcd; `told` is what was to be carried out."""

    def __init__(self, etcd: Etcd, fleet: str, name: str) -> None:
        self.told: list[tuple[str, str, Said]] = []
        self.reach = Reach(patience=0)
        book = OrderBook(name, f"run of {name}", lambda: 1000.0)
        self.orders = SharedOrders(etcd, fleet, book, lambda *one: self.told.append(one), self.reach)
        self._seen = asyncio.Event()
        self._mirror = etcd.mirror(keys.orders(fleet), self.reach.failed)

    async def follow(self) -> None:
        self.orders.start()
        async with self._mirror as mirror:
            while True:
                view: View = await mirror.next()
                self.reach.answered()
                self.orders.see(view)
                self._seen.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with within("its orders are as wanted"):
            while not condition():
                self._seen.clear()
                await self._seen.wait()

    def ordered_everywhere(self, weight: int) -> bool:
        drained_too = self.drained() and self.orders.book.said(C1).order.weight == weight
        return drained_too and not self.orders.book.pending

    def drained(self) -> bool:
        return self.orders.book.said(C1).order.drain


@pytest.fixture
async def make(fleet_name: str) -> AsyncIterator[Make]:
    async with AsyncExitStack() as stack:

        def start(etcd: Etcd, name: str) -> Replica:
            replica = Replica(etcd, fleet_name, name)
            task = tasks.start(replica.follow(), name=name)
            stack.push_async_callback(asyncio.wait, [task])
            stack.callback(task.cancel)
            stack.push_async_callback(replica.orders.stop)
            return replica

        yield start


async def test_what_is_given_here_holds_there(make: Make, etcd: Etcd, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    here, there = make(etcd, "lb1"), make(etcd, "lb2")
    await here.until(lambda: here.orders.book.revision)
    here.orders.give(C1, DRAIN, Stamp("olga", NOW), ("drain",))
    assert here.orders.here_only(C1) == "etcd has not answered yet"
    await here.orders.settled()
    assert here.orders.here_only(C1) == ""
    await there.until(there.drained)
    assert [(one[:2], one[2].order.stamps["drain"].by) for one in there.told] == [(("p", "c1"), "olga on lb1")]
    there.orders.give(C1, Said(None, Order()), Stamp("bert", NOW + 1), ("drain",))
    await here.until(lambda: not here.drained())
    assert not here.told[-1][2].order
    [order, _] = [record for record in caplog.records if record.message == "fleet_order_applied"]
    assert vars(order)["fields"] == {"pool": "p", "backend": "c1", "drain": True, "by": "olga on lb1"}
    assert "fleet_order_superseded" not in caplog.text, "both had heard of each other"


async def test_what_was_given_while_etcd_was_gone_is_merged(
    make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with node(tmp_path) as server:
        clients = [Etcd(Access((server.url,))) for _ in range(2)]
        here, there = (make(client, f"lb{n}") for n, client in enumerate(clients))
        await here.until(lambda: here.orders.book.revision)
        await there.until(lambda: there.orders.book.revision)
        server.kill()
        here.orders.give(C1, Said(None, Order(drain=True, weight=2)), Stamp("olga", NOW))
        there.orders.give(C1, Said(None, Order(weight=4)), Stamp("bert", NOW + 1))
        there.orders.give(C1, Said(None, Order(weight=5)), Stamp("bert", NOW + 2))
        await here.orders.settled()
        assert "connection refused" in here.orders.here_only(C1) or "answer" in here.orders.here_only(C1)
        await asyncio.to_thread(server.start)
        for one in (here, there):
            await one.until(partial(one.ordered_everywhere, 5))
        [lost] = [record for record in caplog.records if record.message == "fleet_order_superseded"]
        fields = vars(lost)["fields"]
        assert (fields["field"], fields["here"], fields["now"], fields["replica"]) == ("weight", 2, 5, "lb1")
        for one in (here, there):
            await one.orders.stop()
        await asyncio.gather(*(client.close() for client in clients))


async def test_an_order_that_was_said_to_hold_here_only_is_missed_also_if_it_got_through(
    make: Make, etcd: Etcd, fleet_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """etcd came back before a write had failed, and only then the others' later order was written."""
    here = Replica(etcd, fleet_name, "lb1")
    here.orders.give(C1, Said(None, Order(weight=2)), Stamp("olga", NOW))
    await here.orders.settled()  # nothing is written yet
    task = tasks.start(here.follow(), name="lb1")
    await here.until(lambda: here.orders.book.revision and not here.orders.book.pending)
    there = make(etcd, "lb2")
    await there.until(lambda: there.orders.book.entries)
    there.orders.give(C1, Said(None, Order(weight=4)), Stamp("bert", NOW + 1))
    await here.until(lambda: here.orders.book.said(C1).order.weight == 4)
    assert "fleet_order_superseded" in caplog.text
    task.cancel()
    await asyncio.wait([task])
    await here.orders.stop()


async def test_a_value_of_a_newer_version_is_left_alone(make: Make, etcd: Etcd, fleet_name: str) -> None:
    text = f"{keys.orders(fleet_name)}{C1}"
    await etcd.put(text, b'{"format":2}')
    await etcd.put(f"{keys.orders(fleet_name)}nonsense", b"{}")
    here = make(etcd, "lb1")
    await here.until(lambda: len(here.orders.ignored) == 2)
    here.orders.give(C1, DRAIN, Stamp("olga", NOW))
    await here.orders.settled()
    assert here.orders.here_only(C1) == "etcd has orders for it that a newer lbproxy has written"
    found = await etcd.get(text)
    assert found is not None
    assert found.value == b'{"format":2}'
    await etcd.delete(text)
    await here.until(lambda: len(here.orders.ignored) == 1)
    await here.orders.settled()
    assert here.orders.here_only(C1) == ""


async def test_what_is_ordered_is_shown(make: Make, etcd: Etcd) -> None:
    here = make(etcd, "lb1")
    here.orders.give(C1, DRAIN, Stamp("olga", NOW))
    here.orders.give(Key("p", "c2"), DRAIN, Stamp("olga", NOW))
    here.orders.give(Key("p", "c2"), Said(None, Order()), Stamp("olga", NOW + 1))
    await here.orders.settled()
    await here.until(lambda: len(here.orders.view(lambda pool, name: False)) == 1)
    [order] = here.orders.view(lambda pool, name: False)
    assert (order["backend"], order["waits"], order["here_only"]) == ("c1", True, "")
    assert order["given"]["drain"] == {"value": True, "by": "olga", "at": NOW, "replica": "lb1"}


async def test_an_order_for_a_name_that_is_long_gone_is_dropped_everywhere(
    make: Make, etcd: Etcd, fleet_name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As long as one replica has the backend, it stays."""
    one, other = make(etcd, "lb1"), make(etcd, "lb2")
    long_ago = Stamp("olga", NOW - 8 * 86400)
    for replica in (one, other):
        replica.orders._has = lambda pool, name: False
    monkeypatch.setattr(shared_orders, "_UNCHANGED_FOR", 0.0)
    one.orders._has = lambda pool, name: True
    one.orders.give(C1, DRAIN, long_ago)
    await other.until(other.drained)
    await other.until(lambda: "seen" in other.orders.book.entries[C1])
    await other.orders._tidy()
    assert await etcd.get(f"{keys.orders(fleet_name)}p/c1") is not None
    gone = Key("p", "gone")
    one.orders._has = lambda pool, name: False
    one.orders.give(gone, DRAIN, long_ago)
    await other.until(lambda: "fleet_order_dropped" in caplog.text)
    for replica in (one, other):
        await replica.until(partial(_lacks, replica, gone))
        assert replica.drained()
    assert ("p", "gone", Said(None, Order())) in other.told


def _lacks(replica: Replica, key: Key) -> bool:
    return key not in replica.orders.book.entries


async def test_what_is_long_ago_by_the_clock_of_this_host_only_is_not_dropped(
    make: Make, etcd: Etcd, fleet_name: str
) -> None:
    """Its clock is a year ahead: for all other replicas, the order was given now."""
    ahead, gone = make(etcd, "lb1"), Key("p", "gone")
    ahead.orders._has = lambda pool, name: False
    await ahead.until(lambda: ahead.orders.book.revision)
    ahead.orders.give(C1, DRAIN, Stamp("olga", NOW - 365 * 86400))
    ahead.orders.give(gone, DRAIN, Stamp("olga", NOW - 365 * 86400))
    ahead.orders.give(gone, Said(None, Order()), Stamp("olga", NOW - 365 * 86400))
    await ahead.orders.settled()
    await ahead.orders._tidy()
    assert len((await etcd.list(keys.orders(fleet_name))).values) == 2
