from __future__ import annotations

import pytest

from lbproxy.balance.backend import Backend, State
from lbproxy.balance.rotation import Rotation
from lbproxy.balance.slow_start import FIRST_WEIGHT, SlowStart


class Ramp:
    """A slow start of 10 s, and backends that are up."""

    def __init__(self, count: int, seconds: float = 10.0) -> None:
        self.rotation = Rotation()
        self.slow_start = SlowStart(self.rotation, seconds)
        self.backends = [Backend(name, f"http://{name}:80") for name in "abcd"[:count]]

    def join(self, backend: Backend, now: float | None = None) -> None:
        """Into the rotation: slowly, if it says when."""
        backend.state = State.UP
        self.rotation.add(backend)
        if now is not None:
            self.slow_start.begin(backend, now)
            self.slow_start.tick(now)

    def leave(self, backend: Backend, now: float) -> None:
        self.rotation.remove(backend)
        self.slow_start.end(backend)
        self.slow_start.tick(now)

    def ramps(self, now: float) -> list[float]:
        self.slow_start.tick(now)
        return [round(backend.ramp, 6) for backend in self.backends]


def test_a_ramp_grows_linearly() -> None:
    ramp = Ramp(2)
    a, b = ramp.backends
    ramp.join(a)
    ramp.join(b, 100.0)
    weights = [ramp.ramps(now)[1] for now in (99.9, 100.0, 102.5, 105.0, 109.0, 110.0, 111.0)]
    assert weights == [FIRST_WEIGHT, FIRST_WEIGHT, 0.325, 0.55, 0.91, 1.0, 1.0]
    assert a.ramp == 1.0


def test_its_part_of_the_traffic_grows_with_it() -> None:
    ramp = Ramp(2)
    a, b = ramp.backends
    ramp.join(a)
    ramp.join(b, 0.0)
    parts = []
    for second in range(11):
        ramp.slow_start.tick(second)
        parts.append(sum(ramp.rotation.pick() is b for _ in range(1000)) / 1000)
    expected = [weight / (1 + weight) for weight in (FIRST_WEIGHT + 0.09 * second for second in range(11))]
    assert parts == pytest.approx(expected, abs=0.002)


def test_without_seconds_nobody_starts_slowly() -> None:
    ramp = Ramp(2, seconds=0.0)
    for backend in ramp.backends:
        ramp.join(backend, 0.0)
    assert ramp.ramps(0.0) == [1.0, 1.0]


def test_who_is_alone_has_a_full_turn_until_another_one_has_more() -> None:
    ramp = Ramp(2)
    a, b = ramp.backends
    ramp.join(b, 0.0)
    assert ramp.ramps(1.0) == [1.0, 1.0]
    ramp.join(a)
    assert ramp.ramps(1.0) == [1.0, 0.19]


def test_those_who_came_back_together_share_as_equals() -> None:
    ramp = Ramp(3)
    a, b, c = ramp.backends
    ramp.join(a, 0.0)
    ramp.join(b, 0.0)
    assert ramp.ramps(5.0) == [1.0, 1.0, 1.0]
    ramp.join(c, 5.0)
    assert ramp.ramps(5.0) == [1.0, 1.0, round(0.1 / 0.55, 6)]
    ramp.leave(a, 6.0)
    assert ramp.ramps(10.0) == [1.0, 1.0, 0.55]


def test_one_that_leaves_begins_anew() -> None:
    ramp = Ramp(2)
    a, b = ramp.backends
    ramp.join(a)
    ramp.join(b, 0.0)
    ramp.leave(b, 5.0)
    assert (b.ramp, repr(ramp.slow_start)) == (1.0, "<slow start of none>")
    ramp.join(b, 20.0)
    assert (ramp.ramps(20.0)[1], repr(ramp.slow_start)) == (FIRST_WEIGHT, "<slow start of b=0.10>")


def test_a_new_one_starts_slowly_beside_others_that_have_served_for_a_while() -> None:
    """When the balancer starts, all are new to it, and have worked all the time."""
    ramp = Ramp(2)
    a, b = ramp.backends
    assert not ramp.slow_start.is_due(b, 0.0)
    ramp.join(a)
    a.since = 100.0
    assert [ramp.slow_start.is_due(b, now) for now in (100.1, 109.9, 110.0)] == [False, False, True]
    b.state = State.DOWN
    assert ramp.slow_start.is_due(b, 100.1)
