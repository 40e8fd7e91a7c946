"""What can be read from `Waits`: percentiles, and the few buckets of a metric; and how a time is written."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import ceil, inf, sqrt

from lbproxy.balance.latency import bounds
from lbproxy.control.counts import Durations, Waits

_TYPICAL = tuple(
    lower if upper == inf else upper if lower == 0 else sqrt(lower * upper)
    for lower, upper in zip((0.0, *bounds()), bounds(), strict=False)
)
"""Of each bucket the time from which all of it differ by 12 % at most. The first and the last have one bound only."""

METRIC_BOUNDS = tuple(0.001 * 2**doubling for doubling in range(17))
"""Each doubling from 1 ms to 65.5 s: every bucket of a metric is a time series, for each backend."""


def answers(waits: Waits) -> int:
    """How many times there are."""
    return sum(waits["below"].values())


def percentiles(counts: Iterable[int], percents: Sequence[float]) -> list[float | None]:
    """For each of `percents` the time that so many percent of all did not exceed, in seconds, to within 12 %.

    counts: how many are in each of the buckets of `lbproxy.balance.latency`. None if there are none. What took longer
    than the last bound counts as that one.
    """
    passed = list(accumulate(counts))
    if not passed[-1]:
        return [None] * len(percents)
    return [_TYPICAL[bisect_left(passed, ceil(passed[-1] * percent / 100))] for percent in percents]


def durations(waits: Waits) -> Durations:
    """A histogram with `METRIC_BOUNDS`."""
    counted = [(float(bound), count) for bound, count in waits["below"].items()]
    buckets = [(le, sum(count for bound, count in counted if bound <= le)) for le in METRIC_BOUNDS]
    return {"buckets": buckets, "count": answers(waits), "sum": waits["sum"]}


def time_of(seconds: float) -> str:
    """With one digit or more: 0.4 ms, 12 ms, 840 ms, 2.1 s."""
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
