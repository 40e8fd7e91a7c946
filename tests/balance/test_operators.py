from __future__ import annotations

import json

import pytest

from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Rules
from lbproxy.balance.member import Member
from lbproxy.balance.membership import FILE, OPERATOR
from lbproxy.balance.operators import Said, add, change, end_drain, find, hear, hear_all, remove, said, waiting
from lbproxy.balance.orders import NO_ORDER, Order, Stamp
from lbproxy.balance.pool import Pool
from lbproxy.errors import AdminError

ROOT, OLGA = Stamp("root", 100.0), Stamp("olga", 200.0)


def member(name: str, port: int = 81, weight: int = 1, standby: bool = False) -> Member:
    return Member(name, f"http://{name}:{port}", weight, standby, ROOT)


@pytest.fixture
def pool() -> Pool:
    """a, of the file, is in rotation; there is room for two more."""
    pool = Pool(
        "p",
        [Backend("a", "http://a:80")],
        Rules(),
        max_backends=3,
        refuse=lambda one: f"{one.name} is lbproxy itself" if ":8080" in one.url else "",
    )
    pool.probed(pool.backends[0], True, "", 1.0)
    return pool


def added(pool: Pool, name: str, weight: int = 1, standby: bool = False) -> Backend:
    """One that an operator added, in rotation."""
    backend = add(pool, member(name, 81, weight, standby))
    pool.probed(backend, True, "", 1.0)
    return backend


def everything(pool: Pool) -> object:
    return {one.name: (one.url, one.weight, one.standby, one.source) for one in pool.backends}, pool.orders


def test_what_is_added_is_a_member_until_it_is_removed(pool: Pool) -> None:
    backend = added(pool, "b", weight=3)
    assert (backend.source, backend.weight, backend.in_rotation) == (OPERATOR, 3, True)
    assert said(pool, "b") == Said(member("b", weight=3), NO_ORDER)
    assert remove(pool, "b", force=False) is backend
    assert (pool.by_name("b"), backend.departed, said(pool, "b")) == (None, True, Said(None, NO_ORDER))


def test_to_add_again_changes_weight_and_standby_and_ends_what_was_ordered_of_them(pool: Pool) -> None:
    backend = added(pool, "b", weight=3)
    change(pool, "b", {"weight": 9, "standby": True}, OLGA, force=False)
    pool.drain(backend, *OLGA)
    assert add(pool, member("b", weight=5)) is backend
    assert (backend.weight, backend.standby, pool.ordered("b")) == (5, False, Order(drain=True, stamps={"drain": OLGA}))


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (member("a"), "a is a backend of pool p in the configuration file: lbproxy backend set changes its weight"),
        (member("b", port=82), "b is a backend of pool p already, at http://b:81; remove it first"),
        (member("c/d"), "'c/d' is no name for a backend: it has a slash"),
        (member("c", weight=101), "c: weight is 101, it must be 0 to 100"),
        (member("c", port=8080), "c is lbproxy itself"),
        (Member("c", "ftp://c:21"), "the scheme is not http, https or tcp"),
    ],
)
def test_what_may_not_be_added(pool: Pool, wanted: Member, why: str) -> None:
    added(pool, "b")
    before = everything(pool)
    with pytest.raises(AdminError, match=why):
        add(pool, wanted)
    assert (everything(pool), pool.membership.refused) == (before, {})


def test_there_is_a_limit(pool: Pool) -> None:
    added(pool, "b")
    added(pool, "c")
    before = everything(pool)
    with pytest.raises(AdminError, match=r"d: the pool has max_backends \(3\) already"):
        add(pool, member("d"))
    assert everything(pool) == before


def test_what_was_discovered_is_not_added_again(pool: Pool) -> None:
    pool.apply("dns", [member("b", port=82), member("c")])
    before = everything(pool)
    for port in (81, 82):
        with pytest.raises(AdminError, match="b is a backend of pool p from dns, at http://b:82: lbproxy backend set"):
            add(pool, member("b", port))
    assert (everything(pool), pool.membership.refused) == (before, {})
    change(pool, "b", {"weight": 7}, OLGA, force=False)
    assert find(pool, "b").weight == 7


def test_an_operator_wins_over_what_is_discovered_later(pool: Pool) -> None:
    assert added(pool, "b").url == "http://b:81"
    assert pool.apply("dns", [member("b", port=82)]) == ("b: operator has a backend of this name, at http://b:81",)
    assert add(pool, member("b", weight=2)).weight == 2, "it was added before: that changes its weight"
    change(pool, "b", {"weight": 7}, OLGA, force=False)
    remove(pool, "b", force=False)
    assert (find(pool, "b").url, find(pool, "b").weight) == ("http://b:82", 7), "the name is wanted: its orders stay"
    assert pool.membership.refused == {}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("x", "no backend is called p/x"),
        ("a", "a is in the configuration file: take it out there, and reload. lbproxy drain p/a gives it no new work"),
        ("d", "d comes from dns, which has to take it out"),
    ],
)
def test_only_what_was_added_is_removed(pool: Pool, name: str, why: str) -> None:
    pool.apply("dns", [member("d")])
    with pytest.raises(AdminError, match=why):
        remove(pool, name, force=True)
    assert {one.name for one in pool.backends} == {"a", "d"}


def test_the_last_one_in_rotation_must_be_forced(pool: Pool) -> None:
    backend = added(pool, "b")
    pool.drain(find(pool, "a"))
    with pytest.raises(AdminError, match="b is the only backend of pool p in rotation; to remove it all the same"):
        remove(pool, "b", force=False)
    with pytest.raises(AdminError, match="to give no turns to it all the same, force it"):
        change(pool, "b", {"weight": 0}, ROOT, force=False)
    assert backend.in_rotation
    change(pool, "b", {"weight": 0}, ROOT, force=True)
    assert not pool.rotation
    remove(pool, "b", force=False)  # it has no part in it any more


def test_the_last_one_in_rotation_keeps_its_turns_whatever_takes_them(pool: Pool) -> None:
    pool.apply("dns", [member("b", weight=0)])
    change(pool, "b", {"weight": 3}, ROOT, force=False)
    pool.probed(find(pool, "b"), True, "", 1.0)
    added(pool, "c")
    pool.drain(find(pool, "a"))
    pool.drain(find(pool, "c"))
    with pytest.raises(AdminError, match="b is the only backend of pool p in rotation"):
        change(pool, "b", {"weight": None}, ROOT, force=False)  # its source says 0
    pool.ready(find(pool, "c"))
    change(pool, "b", {"weight": None}, ROOT, force=False)
    with pytest.raises(AdminError, match="c is the only backend of pool p in rotation; lbproxy backend set --weight 0"):
        add(pool, member("c", weight=0))
    assert [one.name for one in pool.rotation.members] == ["c"]


# --- orders that wait


def test_orders_of_a_backend_that_left_wait_until_they_are_taken_back(pool: Pool) -> None:
    pool.apply("dns", [member("b")])
    pool.drain(find(pool, "b"), *OLGA)
    change(pool, "b", {"weight": 3}, ROOT, force=False)
    assert waiting(pool) == {}
    pool.apply("dns", [])
    order = Order(drain=True, weight=3, stamps={"drain": OLGA, "weight": ROOT})
    assert waiting(pool) == {"b": order}
    assert change(pool, "b", {"weight": 5}, ROOT, force=False) is None
    end_drain(pool, "b", ROOT)
    assert waiting(pool) == {"b": Order(weight=5, stamps={"weight": ROOT})}
    assert change(pool, "b", {"weight": None, "standby": None}, ROOT, force=False) is None
    assert pool.orders == {}
    with pytest.raises(AdminError, match="no backend is called p/b"):
        change(pool, "b", {"weight": 5}, ROOT, force=False)  # or a mistyped name would be an order


def test_orders_that_wait_are_removed_together(pool: Pool) -> None:
    hear(pool, "b", Said(None, Order(drain=True, weight=3)))
    assert remove(pool, "b", force=False) is None
    assert pool.orders == {}
    with pytest.raises(AdminError, match="no backend is called p/b"):
        remove(pool, "b", force=False)


def test_orders_that_wait_have_limits_too(pool: Pool) -> None:
    hear(pool, "b", Said(None, Order(drain=True)))
    with pytest.raises(AdminError, match="b: weight is 101, it must be 0 to 100"):
        change(pool, "b", {"weight": 101}, ROOT, force=False)


def test_one_that_a_standby_would_replace_is_not_the_last(pool: Pool) -> None:
    added(pool, "b", standby=True)
    change(pool, "a", {"weight": 0}, ROOT, force=False)
    assert [one.name for one in pool.rotation.members] == ["b"]


def test_weight_and_standby_are_ordered_and_given_back(pool: Pool) -> None:
    backend = change(pool, "a", {"weight": 4, "standby": True}, OLGA, force=False)
    assert backend is find(pool, "a")
    assert (backend.weight, backend.standby, pool.ordered("a").stamps["weight"]) == (4, True, OLGA)
    change(pool, "a", {"standby": None}, ROOT, force=False)
    assert (backend.weight, backend.standby) == (4, False)
    change(pool, "a", {"weight": None}, ROOT, force=False)
    assert (backend.weight, pool.orders) == (1, {})


@pytest.mark.parametrize("weight", [101, -1])
def test_a_weight_has_limits(pool: Pool, weight: int) -> None:
    with pytest.raises(AdminError, match=f"a: weight is {weight}, it must be 0 to 100"):
        change(pool, "a", {"weight": weight}, ROOT, force=False)
    with pytest.raises(AdminError, match="no backend is called p/x"):
        change(pool, "x", {"weight": 1}, ROOT, force=False)


def test_what_was_said_crosses_a_channel() -> None:
    for told in (Said(member("b"), Order(drain=True, stamps={"drain": OLGA})), Said(None, NO_ORDER)):
        assert Said.decode(json.loads(json.dumps(told.encode()))) == told


def test_what_another_process_was_told_is_done_here_too(pool: Pool) -> None:
    order = Order(weight=2, stamps={"weight": OLGA})
    assert hear(pool, "b", Said(member("b"), order)) == ()
    assert hear(pool, "c", Said(member("c"), NO_ORDER)) == ()
    assert (find(pool, "b").weight, find(pool, "b").source, pool.ordered("b")) == (2, OPERATOR, order)
    assert hear(pool, "b", Said(None, NO_ORDER)) == ()
    assert ([one.name for one in pool.backends], pool.orders) == (["a", "c"], {})
    hear(pool, "x", Said(None, order))
    assert pool.orders == {"x": order}, "for the member that may come"


def test_the_file_wins_and_what_does_not_fit_is_left_out(pool: Pool) -> None:
    told = hear_all(pool, [member("a"), member("b", port=8080), member("c")], {"a": Order(weight=0)})
    assert told == ("a: the configuration file has it, at http://a:80", "b is lbproxy itself")
    assert everything(pool)[0] == {"a": ("http://a:80", 0, False, FILE), "c": ("http://c:81", 1, False, OPERATOR)}  # type: ignore[index]
    assert said(pool, "a").member is None, "it does not come back with the next file that has no such backend"
