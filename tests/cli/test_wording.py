from __future__ import annotations

from lbproxy.cli.wording import colour, state, waits
from lbproxy.control.snapshot import BackendView
from tests.control.sample import backend, dead_backend, new_backend


def test_states_and_their_colours() -> None:
    drained = backend("c1") | {"draining": True}
    assert [colour(one) for one in (backend("c1"), dead_backend("c2"), new_backend("c3"), drained)] == [
        "green", "red", "yellow", "yellow",
    ]  # fmt: skip
    slow = state(drained | {"ramp": 0.25})
    assert (slow.plain, slow.style) == ("up, draining, slow start 25%", "yellow")


def test_a_standby_that_waits_is_no_trouble() -> None:
    waiting = backend("c1") | {"standby": True, "in_rotation": False}
    assert (state(waiting).plain, state(waiting).style, waits(waiting)) == ("up, standby, waits", "green", True)
    trouble: list[BackendView] = [
        waiting | {"in_rotation": True},
        waiting | {"draining": True},
        waiting | {"state": "down"},
        waiting | {"weight": 0},
        waiting | {"inconsistent": "version is 1.7.9"},
    ]
    assert not any(map(waits, trouble))
    assert (state(backend("c1") | {"weight": 0}).plain, colour(backend("c1") | {"weight": 0})) == (
        "up, weight 0", "yellow",
    )  # fmt: skip
