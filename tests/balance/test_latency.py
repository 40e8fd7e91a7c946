"""The histogram of waits: which bucket has a time, and how wide the buckets are."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.latency import Latency, bounds

BOUNDS = bounds()


def test_the_bounds_are_log_linear() -> None:
    assert BOUNDS[:6] == (0.00025, 0.0003125, 0.000375, 0.0004375, 0.0005, 0.000625)
    assert BOUNDS[-2:] == (65.536, inf)
    assert all(upper / lower <= 1.25 for lower, upper in pairwise(BOUNDS[:-1]))


@given(st.integers(min_value=-1, max_value=80 * 16000))
def test_a_time_is_below_its_bound_and_not_below_the_one_before(ticks: int) -> None:
    latency = Latency()
    latency.add((ticks + 0.5) / 16000)  # within a tick: on a bound, rounding may decide
    assert latency.buckets.index(1) == bisect_right(BOUNDS, (ticks + 0.5) / 16000)


def test_times_out_of_all_bounds_are_counted_too() -> None:
    latency = Latency()
    for seconds in (-1.0, 0.0, 65.536, 1e6):
        latency.add(seconds)
    assert latency.buckets == [2, *[0] * (len(BOUNDS) - 2), 2]
    assert latency.seconds == -1.0 + 65.536 + 1e6


def test_all_are_counted() -> None:
    latency = Latency()
    for _ in range(1000):
        latency.add(0.012)
    assert sum(latency.buckets) == latency.buckets[bisect_right(BOUNDS, 0.012)] == 1000


def test_an_example_is_kept_of_each_order_of_magnitude() -> None:
    latency = Latency()
    assert latency.examples == []
    for seconds in (0.0001, 0.00025, 0.0004, 0.0005, 3.0, 65.536, 1e6):
        latency.example(seconds, seconds)
    assert latency.examples == [0.0001, 0.0004, 0.0005, 3.0, 1e6], "the last one of each"
    latency.example(0.1, None)
    assert len(latency.examples) == 5
    assert sum(latency.buckets) == 8
