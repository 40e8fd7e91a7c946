"""Which backends answer far slower than the others of their pool, or with errors.

It is said in words, and nothing is done about it. Few requests say nothing: a median of three answers is chance.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from lbproxy.control.snapshot import RecentView, WindowView
from lbproxy.control.waits import time_of

ENOUGH = 20
"""Answers in a window from which it counts."""

TIMES_SLOWER = 4.0
SLOWER_BY = 0.1
"""A median is an outlier if it is so many times that of the others, and so many seconds more."""

MANY_ERRORS = 0.05
"""The part of the answers that are 5xx from which it is said..."""

FEWEST_ERRORS = 5
"""... and how many there have to be."""


def outliers(recent: Mapping[str, RecentView]) -> dict[str, list[str]]:
    """What stands out of each backend, by its name, such as "slow: p50 840 ms, others 12 ms" and "5xx 20 %".

    recent: of all backends of a pool, by their names.
    """
    windows = {name: found for name, one in recent.items() if (found := _window(one)) is not None}
    medians = sorted(one["p50"] for one in windows.values() if one["p50"] is not None)
    told = {name: [*_slow(one["p50"], medians), *_errors(one)] for name, one in windows.items()}
    return {name: words for name, words in told.items() if words}


def _window(recent: RecentView) -> WindowView | None:
    """The last minute, or the last ten if that has too few answers; None if those have too few as well."""
    windows = (recent["minute"], recent["ten_minutes"])
    return next((window for window in windows if window["answers"] >= ENOUGH), None)


def _slow(own: float | None, medians: Sequence[float]) -> Iterable[str]:
    """medians: of all, `own` among them, sorted."""
    if own is None or len(medians) < 2:
        return
    usual = _median_of_others(own, medians)
    if own >= TIMES_SLOWER * usual and own >= usual + SLOWER_BY:
        yield f"slow: p50 {time_of(own)}, others {time_of(usual)}"


def _median_of_others(own: float, medians: Sequence[float]) -> float:
    """Without a copy for each of thousands."""
    at, others = bisect_left(medians, own), len(medians) - 1
    middle = ((others - 1) // 2, others // 2)
    return sum(medians[index + (index >= at)] for index in middle) / 2


def _errors(window: WindowView) -> Iterable[str]:
    part = window["server_errors"] / window["answers"]
    if window["server_errors"] >= FEWEST_ERRORS and part >= MANY_ERRORS:
        yield f"5xx {100 * part:.0f} %"
