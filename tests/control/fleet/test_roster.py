from __future__ import annotations

from lbproxy.control.etcd import KeyValue
from lbproxy.control.fleet.replica import Replica
from lbproxy.control.fleet.roster import REMEMBERED, Gone, Roster
from tests.control.fleet.made import replica


def values(**replicas: Replica) -> dict[str, KeyValue]:
    return {f"/r/{name}": KeyValue(f"/r/{name}", one.encode(), 1, 1) for name, one in replicas.items()}


def test_a_balancer_whose_lease_ended_is_gone_until_it_is_back() -> None:
    one, other = replica(run="1"), replica(run="2")
    roster = Roster()
    roster.see(values(lb1=one, lb2=other), 100.0)
    assert (roster.live, roster.gone) == ({"lb1": one, "lb2": other}, {})
    roster.see(values(lb1=one), 200.0)
    assert (roster.live, roster.gone) == ({"lb1": one}, {"lb2": Gone(other, 200.0)})
    roster.see(values(lb1=one, lb2=other), 300.0)
    assert roster.gone == {}


def test_one_that_said_so_is_not_missed() -> None:
    roster = Roster()
    roster.see(values(lb2=replica()), 100.0)
    roster.see(values(lb2=replica(state="gone")), 150.0)
    assert (roster.live, roster.gone) == ({}, {})
    roster.see({}, 200.0)
    assert (roster.live, roster.gone) == ({}, {})


def test_the_gone_are_forgotten_in_the_end() -> None:
    roster = Roster()
    roster.see(values(lb2=replica()), 100.0)
    roster.see({}, 200.0)
    roster.see({}, 200.0 + REMEMBERED)
    assert roster.gone == {}


def test_a_value_that_cannot_be_read_is_left_alone() -> None:
    roster = Roster()
    roster.see({"/r/lb3": KeyValue("/r/lb3", b'{"format":2}', 1, 1)}, 100.0)
    assert roster.live == {}
    assert roster.ignored == {"/r/lb3": "its format is not 1: a newer lbproxy has written it"}
