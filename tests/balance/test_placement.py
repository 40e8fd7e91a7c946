from __future__ import annotations

from lbproxy.balance.backend import Backend, State
from lbproxy.balance.placement import Placement


def up(name: str, standby: bool = False) -> Backend:
    backend = Backend(name, f"http://{name}:80", standby=standby)
    backend.state = State.UP
    return backend


def names(placement: Placement) -> str:
    return "".join(sorted(backend.name for backend in placement.rotation.members))


def test_standbys_make_up_for_those_that_are_missing() -> None:
    moved: list[Backend] = []
    placement = Placement(0.0, 2, moved.append)
    a, b, s = up("a"), up("b"), up("s", standby=True)
    for backend in (a, b, s):
        placement.settle(backend, 0.0)
    assert (names(placement), moved) == ("ab", [])
    a.state = State.DOWN
    placement.settle(a, 1.0)
    assert (names(placement), moved) == ("bs", [s])
    a.state = State.UP
    placement.settle(a, 2.0)
    assert (names(placement), moved) == ("ab", [s, s])


def test_a_standby_may_become_one_of_the_others_and_back() -> None:
    placement = Placement(0.0, 1, lambda _: None)
    a, s = up("a"), up("s", standby=True)
    placement.settle(a, 0.0)
    placement.settle(s, 0.0)
    s.standby = False
    placement.settle(s, 1.0)
    assert names(placement) == "as"
    s.standby = True
    placement.settle(s, 2.0)
    assert names(placement) == "a"


def test_one_is_alone_when_no_standby_could_take_its_place() -> None:
    placement = Placement(0.0, 1, lambda _: None)
    a, s = up("a"), up("s", standby=True)
    placement.settle(a, 0.0)
    assert placement.is_alone(a)
    placement.settle(s, 0.0)
    assert not placement.is_alone(a)
    s.departed = True
    placement.settle(s, 1.0)
    assert placement.is_alone(a)


def test_the_last_resort_has_all_that_take_work() -> None:
    placement = Placement(0.0, 1, lambda _: None)
    new, drained, idle = Backend("n", "http://n:80"), up("d"), up("i")
    drained.draining, idle.weight = True, 0
    for backend in (new, drained, idle):
        placement.settle(backend, 0.0)
    assert placement.last_resort.members == (new,)
    assert names(placement) == ""
