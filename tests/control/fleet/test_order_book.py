from __future__ import annotations

import json
import random

import pytest

from lbproxy.balance.member import Member
from lbproxy.balance.operators import Said
from lbproxy.balance.orders import Order, Stamp
from lbproxy.control.fleet import merge
from lbproxy.control.fleet.order_book import KEPT, Key, OrderBook, Stored

C1 = Key("p", "c1")
DAY = 86400.0
DRAIN = Said(None, Order(drain=True))
READY = Said(None, Order())


class Store:
    """What etcd does with the orders: compare and put, and a view of all."""

    def __init__(self) -> None:
        self.stored: dict[Key, Stored] = {}
        self.revision = 1

    def write(self, book: OrderBook) -> None:
        """Whatever `book` has to write, as `SharedOrders` does it."""
        for key in [*book.pending]:
            while key in book.pending:
                entry = dict(book.entries[key])
                found = self.stored.get(key)
                if (found.modified if found else 0) == book.modified.get(key, 0):
                    self.revision += 1
                    self.stored[key] = Stored(entry, self.revision)
                    book.wrote(key, entry, self.revision)
                else:
                    book.found(key, found)

    def show(self, book: OrderBook) -> None:
        book.see(dict(self.stored), self.revision)


def books(*names: str, wall: float = 1000.0) -> list[OrderBook]:
    return [OrderBook(name, f"run of {name}", lambda: wall) for name in names]


def test_an_order_is_here_only_until_it_is_written() -> None:
    store, [book] = Store(), books("lb1")
    assert book.give(C1, DRAIN, Stamp("olga", 5.0))
    assert not book.give(C1, DRAIN, Stamp("olga", 6.0)), "that is nothing new"
    assert book.pending == {C1: {"drain"}}
    store.write(book)
    assert (book.pending, book.modified) == ({}, {C1: 2})
    assert book.said(C1) == Said(None, Order(drain=True, stamps={"drain": Stamp("olga", 5.0)}))


def test_only_the_fields_that_are_meant_are_given() -> None:
    """A member that this replica could not have is not taken out by a drain of its name."""
    one, two = books("lb1", "lb2")
    store = Store()
    one.give(C1, Said(Member("c1", "http://a:1", 1, False, Stamp("olga", 1.0)), Order()), Stamp("olga", 1.0))
    store.write(one)
    store.show(two)
    two.give(C1, DRAIN, Stamp("bert", 2.0), ("drain",))
    assert two.said(C1).member is not None
    assert two.said(C1).order.drain


def test_of_two_partitions_the_newest_counts_and_the_other_is_told() -> None:
    store, [one, two] = Store(), books("lb1", "lb2")
    one.give(C1, DRAIN, Stamp("olga", 1.0))
    store.write(one)
    store.show(two)
    one.give(C1, READY, Stamp("olga", 2.0), ("drain",))
    two.give(C1, Said(None, Order(drain=True, weight=3)), Stamp("bert", 3.0), ("weight",))
    two.give(C1, Said(None, Order(weight=3)), Stamp("bert", 3.0), ("drain",))
    two.give(C1, Said(None, Order(drain=True, weight=3)), Stamp("bert", 3.0), ("drain",))
    store.write(one)
    seen = two.found(C1, store.stored[C1])
    assert (seen.changed, seen.lost) == ([], []), "its drain is later than the ready of the other"
    store.write(two)
    [lost] = one.see(dict(store.stored), store.revision).changed
    assert one.said(lost).order.drain
    assert one.said(lost).order.weight == 3


def test_an_order_that_is_repeated_is_later_than_those_in_between() -> None:
    """What a replica that was cut off has heard before does not end what was ordered once more after it."""
    store, now = Store(), [1000.0]
    one, two = (OrderBook(name, f"run of {name}", lambda: now[0]) for name in ("lb1", "lb2"))
    two.give(C1, DRAIN, Stamp("olga", 1000.0), ("drain",))
    store.write(two)
    store.show(one)
    now[0] = 1010.0
    one.give(C1, READY, Stamp("alice", 1010.0), ("drain",))
    now[0] = 1020.0
    assert two.give(C1, DRAIN, Stamp("bob", 1020.0), ("drain",))
    assert not two.give(C1, DRAIN, Stamp("bob", 1020.0)), "no field was meant, and none is another"
    for book in (one, two, one):
        store.write(book)
        store.show(book)
    assert one.said(C1).order.stamps == {"drain": Stamp("bob on lb2", 1020.0)}
    assert two.said(C1).order.stamps == {"drain": Stamp("bob", 1020.0)}


def test_the_losing_side_hears_of_it() -> None:
    store, [one, two] = Store(), books("lb1", "lb2")
    one.give(C1, Said(None, Order(weight=2)), Stamp("olga", 1.0))
    two.give(C1, Said(None, Order(weight=1)), Stamp("bert", 2.0))
    two.give(C1, Said(None, Order(weight=3)), Stamp("bert", 3.0))
    store.write(two)
    seen = one.see(dict(store.stored), store.revision)
    [lost] = seen.lost
    assert (lost.key, lost.field, lost.here.value, lost.now.value, lost.now.replica) == (C1, "weight", 2, 3, "lb2")
    assert lost.here_only
    assert (seen.changed, one.pending) == ([C1], {})


def test_what_is_older_than_the_fleet_counts_from_when_it_was_given() -> None:
    store, [one, two] = Store(), books("lb1", "lb2")
    two.give(C1, DRAIN, Stamp("bert", 1000.0))
    store.write(two)
    one.adopt(C1, Said(None, Order(drain=False, weight=2, stamps={"weight": Stamp("olga", 900.0)})))
    one.adopt(C1, DRAIN)
    store.write(one)
    store.show(two)
    assert merge.values(two.said(C1)) == {"drain": True, "weight": 2, "standby": None, "member": None}


def test_a_view_from_before_a_write_undoes_nothing() -> None:
    store, [book] = Store(), books("lb1")
    before = dict(store.stored), store.revision
    book.give(C1, DRAIN, Stamp())
    store.write(book)
    assert book.see(*before).changed == []
    assert book.said(C1).order.drain


def test_a_deleted_key_ends_its_orders() -> None:
    store, [book] = Store(), books("lb1")
    book.give(C1, DRAIN, Stamp())
    store.write(book)
    store.show(book)
    assert book.see({}, store.revision + 1, [C1]).changed == [], "not one that a newer version has written anew"
    store.stored[C1] = Stored(store.stored[C1].entry, store.revision + 1)
    book.see(store.stored, store.revision + 1)
    assert book.see({}, store.revision + 2).changed == [C1]
    assert not book.said(C1).order


def test_another_etcd_gets_all_that_is_known() -> None:
    """Its data was lost, and it began anew."""
    store, [book] = Store(), books("lb1")
    store.revision = 50
    for name, told in (("c1", DRAIN), ("c2", DRAIN), ("c2", READY)):
        book.give(Key("p", name), told, Stamp())
    store.write(book)
    store.show(book)
    empty = Store()
    assert book.see({}, empty.revision).changed == []
    empty.write(book)
    assert [*empty.stored] == [C1]


def test_what_was_taken_back_long_ago_may_be_deleted() -> None:
    [book] = books("lb1")
    book.give(C1, DRAIN, Stamp("olga", 1.0))
    assert book.void(2.0 + KEPT) == []
    book.give(C1, READY, Stamp("olga", 2.0))
    assert book.void(1.0 + KEPT) == []
    assert book.void(2.5 + KEPT) == [C1]


def test_the_next_generation_knows_all_of_it() -> None:
    store, [book, after] = Store(), books("lb1", "lb1")
    book.give(C1, DRAIN, Stamp("olga", 1.0))
    store.write(book)
    store.show(book)
    book.give(Key("p", "c2"), DRAIN, Stamp("olga", 2.0))
    after.remember(json.loads(json.dumps(book.memory())))
    assert (after.entries, after.modified, after.pending) == (book.entries, book.modified, book.pending)
    assert after.memory() == book.memory()
    assert repr(after) == "<order book of 2, 1 here only, at 2>"


def test_what_cannot_be_read_is_left_out_and_told() -> None:
    """Another version has left it, say: a reload does not fail because of one order."""
    [book], after = books("lb1"), OrderBook("lb1", "run of lb1", lambda: 1000.0)
    for name in ("c1", "c2"):
        book.give(Key("p", name), DRAIN, Stamp("olga", 1.0))
    memory = book.memory()
    memory["entries"][0][2]["drain"][1] = merge.LATEST + 1
    assert [*after.remember(memory)] == [C1]
    assert (after.modified, after.pending) == ({}, {Key("p", "c2"): {"drain"}})
    assert after.entries == {Key("p", "c2"): book.entries[Key("p", "c2")]}


@pytest.mark.parametrize("seed", range(40))
def test_orders_agree_once_everything_is_healed(seed: int) -> None:
    """Replicas with wrong clocks, cut off and restarted at random: in the end all have what was given last."""
    rng = random.Random(seed)
    store = Store()
    clocks = {f"lb{n}": rng.choice([0.0, 1e6, 2e9]) + n for n in range(4)}

    def begin(name: str) -> OrderBook:
        return OrderBook(name, f"{name} {rng.random()}", lambda: clocks[name])

    found = {name: begin(name) for name in clocks}
    cut: set[str] = set()
    keys = [Key("p", name) for name in ("c1", "c2")]
    for _ in range(150):
        name = rng.choice([*found])
        book = found[name]
        clocks[name] += rng.random()
        match rng.choice(["order", "order", "cut", "heal", "write", "look", "restart", "reload"]):
            case "order":
                given = Order(rng.random() < 0.5, rng.choice([None, 1, 2]), rng.choice([None, True]))
                fields = rng.sample(["drain", "weight", "standby"], rng.randint(1, 3))
                book.give(rng.choice(keys), Said(None, given), Stamp(name, clocks[name]), fields)
            case "cut":
                cut.add(name)
            case "heal":
                cut.discard(name)
            case "write" if name not in cut:
                store.write(book)
            case "look" if name not in cut:
                store.show(book)
            case "restart" if not book.pending:  # or what was here only is lost with it
                found[name] = begin(name)
            case "reload":
                found[name] = begin(name)
                found[name].remember(book.memory())
    for _ in range(2):
        for book in found.values():
            store.write(book)
            store.show(book)
    entries = [book.entries for book in found.values()]
    assert all(each == entries[0] for each in entries)
    assert not any(book.pending for book in found.values())


@pytest.mark.parametrize("seed", range(20))
def test_what_was_given_after_all_have_heard_is_never_lost(seed: int) -> None:
    """However far apart the clocks are."""
    rng = random.Random(seed)
    store = Store()
    found = [book for wall in (rng.uniform(0, 2e9) for _ in range(3)) for book in books(f"lb{wall}", wall=wall)]
    wanted = Order()
    for number in range(60):
        book = rng.choice(found)
        wanted = Order(drain=not wanted.drain, weight=number % 100)
        book.give(C1, Said(None, wanted), Stamp("olga", 0.0))
        for other in (book, *found):
            store.write(other)
            store.show(other)
        assert all((each.said(C1).order.drain, each.said(C1).order.weight) == (wanted.drain, number) for each in found)


def test_another_etcd_is_told_by_its_cluster_too() -> None:
    """Its revision may be a higher one by now."""
    store, [book] = Store(), books("lb1")
    book.give(C1, DRAIN, Stamp())
    store.write(book)
    book.see(store.stored, store.revision, cluster="a")
    assert not book.is_another(store.revision + 90, "a")
    assert not book.is_another(store.revision + 90, "")
    assert book.is_another(store.revision + 90, "b")
    assert book.see({}, store.revision + 90, cluster="b").changed == []
    assert book.pending == {C1: {"drain"}}
    [after] = books("lb1")
    after.remember(book.memory())
    assert after.is_another(book.revision, "a")


def test_an_order_is_quiet_after_a_day_and_is_said_to_be_needed() -> None:
    store, [one, other] = Store(), books("lb1", "lb2")
    one.give(C1, DRAIN, Stamp("olga", 100.0))
    store.write(one)
    store.show(one)
    store.show(other)
    assert one.quiet(99.0 + DAY) == {}
    assert other.quiet(100.0 + 2 * DAY) == {C1: 2 * DAY}
    one.needed(C1, 100.0 + DAY)
    assert (one.pending, one.is_pending(C1)) == ({C1: {"seen"}}, False)
    store.write(one)
    assert other.see(dict(store.stored), store.revision).changed == [], "nothing is ordered by that"
    assert other.quiet(99.0 + 2 * DAY) == {}


def test_what_was_taken_back_is_not_needed() -> None:
    [book] = books("lb1")
    book.give(C1, DRAIN, Stamp("olga", 1.0))
    book.give(C1, READY, Stamp("olga", 2.0))
    assert book.quiet(90 * DAY) == {}


def test_orders_that_vanish_are_dropped() -> None:
    store, [book] = Store(), books("lb1")
    book.give(C1, DRAIN, Stamp())
    store.write(book)
    store.show(book)
    seen = book.see({}, store.revision + 1)
    assert (seen.changed, seen.given) == ([C1], {}), "nobody has given that"
    store.stored.clear()
    book.give(C1, DRAIN, Stamp())
    book.give(C1, READY, Stamp())
    store.write(book)
    store.show(book)
    assert book.see({}, store.revision + 1).changed == [], "nothing was ordered"


def test_who_has_made_the_difference_is_known() -> None:
    """Not who has given the latest of those orders that are left."""
    store, [one, other] = Store(), books("lb1", "lb2")
    one.give(C1, Said(None, Order(drain=True, weight=2)), Stamp("olga", 1.0))
    store.write(one)
    store.show(other)
    other.give(C1, Said(None, Order(weight=2)), Stamp("bert", 2.0), ["drain"])
    store.write(other)
    assert merge.giver(one.see(dict(store.stored), store.revision).given[C1], "lb1") == "bert on lb2"
