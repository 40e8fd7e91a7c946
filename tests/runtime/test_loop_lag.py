"""How late a loop was."""

from __future__ import annotations

from lbproxy.runtime.loop_lag import BOUNDS, WINDOW, LoopLag


def test_each_observation_is_in_its_bucket() -> None:
    lag = LoopLag()
    for seconds in (-0.1, 0.0, 0.005, 0.03, 9.0):
        lag.observe(seconds, 1.0)
    assert dict(lag.histogram()) == dict(zip(BOUNDS, (3, 3, 3, 4, 4, 4, 4, 4, 4), strict=True))
    assert (lag.observed, lag.seconds) == (5, 9.035)


def test_the_worst_is_remembered_for_a_while() -> None:
    lag, now = LoopLag(), 100.0
    lag.observe(0.0, now)
    lag.observe(0.5, now + 1)
    lag.observe(0.1, now + WINDOW)
    assert lag.worst == 0.5
    assert repr(lag) == "<lag of at most 0.500 s>"
    lag.observe(0.0, now + 2 * WINDOW)
    assert lag.worst == 0.1
    lag.observe(0.0, now + 3 * WINDOW)
    assert lag.worst == 0.0
