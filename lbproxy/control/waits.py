"""What can be read from `Waits`: a percentile, and the few buckets of a metric; and how a time is written."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, inf, sqrt

from lbproxy.balance.latency import bounds
from lbproxy.control.counts import Durations, Waits

_LOWER = dict(zip(bounds(), (0.0, *bounds()), strict=False))
"""Where the bucket begins that ends at a bound."""

METRIC_BOUNDS = tuple(0.001 * 2**doubling for doubling in range(17))
"""Each doubling from 1 ms to 65.5 s: every bucket of a metric is a time series, for each backend."""


def answers(waits: Waits) -> int:
    """How many times there are."""
    return sum(waits["below"].values())


def percentile(below: Mapping[str, int], percent: float) -> float | None:
    """The time that so many percent of all did not exceed, in seconds, to within 12 %; None if there are none.

    What took longer than the last bound counts as that one.
    """
    wanted = ceil(sum(below.values()) * percent / 100)
    passed = 0
    for bound, count in sorted((float(text), count) for text, count in below.items()):
        passed += count
        if count and passed >= wanted:
            return _typical(bound)
    return None


def _typical(bound: float) -> float:
    """The time from which all of its bucket differ by 12 % at most."""
    lower = _LOWER.get(bound, bound)
    return lower if bound == inf else bound if lower == 0 else sqrt(lower * bound)


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
