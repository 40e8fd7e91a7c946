from __future__ import annotations

from lbproxy.control.fleet.evidence import PAUSE, Evidence
from tests.control.fleet.made import replica


def test_a_new_ejection_elsewhere_is_evidence() -> None:
    evidence = Evidence()
    assert [*evidence.see({"lb2": replica(ejected={"p/c1": 3})}, 0.0)] == [], "it was down before it was known"
    assert [*evidence.see({"lb2": replica(ejected={"p/c1": 3, "p/c2": 0})}, 1.0)] == [("p/c2", "lb2")]
    assert [*evidence.see({"lb2": replica(ejected={"p/c1": 4})}, 2.0)] == [("p/c1", "lb2")], "again"
    assert [*evidence.see({"lb2": replica()}, 3.0)] == []
    assert [*evidence.see({"lb2": replica(ejected={"p/c1": 5})}, 4.0)] == [("p/c1", "lb2")]


def test_many_that_eject_it_are_one_probe() -> None:
    evidence = Evidence()
    names = [f"lb{n}" for n in range(2, 9)]
    [*evidence.see({name: replica() for name in names}, 0.0)]
    down = {name: replica(ejected={"p/c1": 1}) for name in names}
    assert [*evidence.see(down, 1.0)] == [("p/c1", "lb2")]
    later = {name: replica(ejected={"p/c1": 2}) for name in names}
    assert [*evidence.see(later, 1.0 + PAUSE / 2)] == []
    assert [*evidence.see({**later, "lb2": replica(ejected={"p/c1": 3})}, 1.0 + PAUSE)] == [("p/c1", "lb2")]
