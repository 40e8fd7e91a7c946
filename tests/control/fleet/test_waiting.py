from __future__ import annotations

from lbproxy.control.fleet.order_book import Key
from lbproxy.control.fleet.roster import Gone, Roster
from lbproxy.control.fleet.waiting import Ordered, waited_for
from tests.control.fleet.made import replica

ORDER = Ordered(Key("p", "c1"), 7, 1.0, given=True)


def roster(**live: object) -> Roster:
    made = Roster()
    made.live = {"lb1": replica(), **{name: replica(**fields) for name, fields in live.items()}}  # type: ignore[arg-type]
    return made


def texts(found: Roster, *orders: Ordered) -> dict[str, str]:
    return {one["replica"]: one["what"] for one in waited_for(orders or [ORDER], found, "lb1", 5.0)}


def test_each_other_one_has_to_have_applied_it_and_nothing_left() -> None:
    found = roster(
        lb2={"revision": 6},
        lb3={"revision": 7, "left": {"p/c1": "2 requests", "p/c2": "1 request"}},
        lb4={"revision": 8},
    )
    assert texts(found) == {"lb2": "has not applied the order", "lb3": "2 requests to finish", "lb4": ""}


def test_one_that_has_not_applied_it_within_its_lease_is_silent() -> None:
    found = roster(lb2={"revision": 6}, lb3={"revision": 7, "left": {"p/c1": "2 requests"}})
    late = waited_for([ORDER._replace(age=5.1)], found, "lb1", 5.0)
    assert [one["silent"] for one in late] == [True, False], "one that is only busy has answered"
    assert not any(one["silent"] for one in waited_for([ORDER], found, "lb1", 5.0))


def test_one_that_does_not_understand_it_has_not_applied_it() -> None:
    found = roster(lb2={"revision": 9, "not_understood": ("p/c1",)})
    assert texts(found) == {"lb2": "does not understand the order, which a newer lbproxy has given"}


def test_one_whose_lease_has_ended_is_named_and_not_waited_for() -> None:
    found = roster()
    found.gone = {"lb2": Gone(replica(), 501.0)}
    [gone] = waited_for([ORDER], found, "lb1", 5.0)
    assert (gone["replica"], gone["gone"], gone["what"]) == ("lb2", True, "its lease has ended")


def test_of_several_pools_each_is_named() -> None:
    other = ORDER._replace(key=Key("raw", "c1"), modified=9)
    found = roster(lb2={"revision": 8, "left": {"p/c1": "1 tunnel"}})
    assert texts(found, ORDER, other) == {"lb2": "pool p: 1 tunnel to finish; pool raw: has not applied the order"}


def test_pools_in_which_it_is_down_there_are_named() -> None:
    orders = [ORDER, ORDER._replace(key=Key("raw", "c1"))]
    found = roster(lb2={"revision": 7, "ejected": {"raw/c1": 3, "raw/c2": 1}}, lb3={"revision": 7})
    assert {one["replica"]: one["down"] for one in waited_for(orders, found, "lb1", 5.0)} == {"lb2": ["raw"], "lb3": []}


def test_nothing_was_ordered() -> None:
    assert texts(roster(lb2={}), ORDER._replace(modified=0, given=False)) == {"lb2": ""}


def test_what_each_one_has_in_rotation_besides() -> None:
    found = roster(
        lb2={"revision": 7, "rotation": {"p": 2}, "out": ("p/c2",)},
        lb3={"revision": 7, "rotation": {"p": 2}, "out": ("p/c1",)},
        lb4={"revision": 7},
    )
    spare = {one["replica"]: one["spare"] for one in waited_for([ORDER], found, "lb1", 5.0)}
    assert spare == {"lb2": {"p": 1}, "lb3": {"p": 2}, "lb4": {}}, "a version before this one does not tell"
