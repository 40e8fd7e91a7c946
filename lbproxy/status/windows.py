"""The last minute and the last ten of each backend: what was counted since then.

The counters only grow, so what happened in a window is the difference of two readings. Each backend is read every 10 s,
in small groups, so that a pool of thousands costs no noticeable turn of the loop. Readings older than a minute are kept
once a minute. A reload begins anew: until it is ten minutes old, `seconds` says how long the window really is. So does
a name whose counters went down: another backend has it, or a process has gone with what it had counted.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from math import ceil
from operator import gt, sub
from typing import NamedTuple

from lbproxy.balance.backend import Backend
from lbproxy.balance.latency import bounds
from lbproxy.balance.pool import Pool
from lbproxy.control.snapshot import RecentView, WindowView
from lbproxy.control.waits import percentiles
from lbproxy.status.counters import Counters, key

EVERY = 10.0
"""Seconds between two readings of a backend."""

MINUTE, TEN_MINUTES = 60.0, 600.0
_ROUND = 50
"""Ticks in which every backend is read; there are ten a second."""

_BOUNDS = bounds()
_AT = {str(bound): at for at, bound in enumerate(_BOUNDS)}
_ANSWERS, _ERRORS = len(_BOUNDS), len(_BOUNDS) + 1
"""Where a reading has the number of answers, and that of 5xx."""

_ZEROS = bytes(8 * (_ERRORS + 1))

NOTHING: WindowView = {"seconds": 0.0, "answers": 0, "server_errors": 0, "p50": None, "p90": None, "p99": None}
NOTHING_RECENT: RecentView = {"minute": NOTHING, "ten_minutes": NOTHING}


class _Reading(NamedTuple):
    """What a backend's counters were at a time: how many answers in each bucket, all, and 5xx."""

    at: float
    counts: array[int]


class Windows:
    """Of all backends of `pools`."""

    def __init__(self, pools: Mapping[str, Pool], counted: Callable[[Pool, Backend], Counters]) -> None:
        """counted: what all processes have counted of a backend, until now."""
        self._pools = pools
        self._counted = counted
        self._readings: dict[str, list[_Reading]] = {}  # by POOL/NAME, the oldest first
        self._due: deque[tuple[Pool, Backend]] = deque()
        self._share = 0  # how many are read in one tick
        self._next = 0.0

    def __repr__(self) -> str:
        return f"<windows of {len(self._readings)} backends>"

    def tick(self, now: float) -> None:
        """Read those whose turn it is. now: monotonic seconds."""
        if not self._due and now >= self._next:
            self._begin(now)
        for _ in range(min(self._share, len(self._due))):
            pool, backend = self._due.popleft()
            self._note(key(pool, backend), _Reading(now, _counts(self._counted(pool, backend))), now)

    def _begin(self, now: float) -> None:
        """A round, in which every backend is read once; those that have left are forgotten."""
        self._next = now + EVERY
        self._due.extend((pool, backend) for pool in self._pools.values() for backend in pool.backends)
        self._share = ceil(len(self._due) / _ROUND)
        there = {key(pool, backend) for pool, backend in self._due}
        self._readings = {name: readings for name, readings in self._readings.items() if name in there}

    def _note(self, name: str, reading: _Reading, now: float) -> None:
        readings = [*self._readings.get(name, ()), reading]
        if len(readings) > 1 and _went_down(readings[-2], reading.counts):
            readings = [reading]
        while len(readings) > 1 and readings[1].at <= now - TEN_MINUTES:
            del readings[0]
        kept = readings[:1]
        for one in islice(readings, 1, None):
            if one.at > now - MINUTE - EVERY or one.at - kept[-1].at >= MINUTE - EVERY / 2:
                kept.append(one)
        self._readings[name] = kept

    def of(self, pool: Pool, backend: Backend, counted: Counters, now: float) -> RecentView:
        """The last minute and the last ten of a backend, of which `counted` is what there is now."""
        name = key(pool, backend)
        readings = self._readings.get(name)
        if not readings:
            return NOTHING_RECENT
        counts = _counts(counted)
        if _went_down(readings[-1], counts):
            del self._readings[name]  # its next reading is its first
            return NOTHING_RECENT
        return {
            "minute": _window(readings, counts, now, MINUTE),
            "ten_minutes": _window(readings, counts, now, TEN_MINUTES),
        }


def _counts(counted: Counters) -> array[int]:
    found = array("Q", _ZEROS)
    for bound, count in counted.get("first_byte", {}).get("below", {}).items():
        at = _AT.get(bound)  # another version may have other bounds
        at = bisect_left(_BOUNDS, float(bound)) if at is None else at
        found[at] += count
    responses = counted.get("responses", {})
    found[_ANSWERS] = sum(responses.values())
    found[_ERRORS] = responses.get("5xx", 0)
    return found


def _went_down(before: _Reading, counts: array[int]) -> bool:
    """Whether one of `counts` is less than it was."""
    return any(map(gt, before.counts, counts))


def _window(readings: list[_Reading], counts: array[int], now: float, seconds: float) -> WindowView:
    """What happened since the newest reading that is at least `seconds` old, or else since the oldest one."""
    base = readings[0]
    for reading in readings:
        if reading.at > now - seconds:
            break
        base = reading
    if counts == base.counts:
        return {**NOTHING, "seconds": now - base.at}
    happened = list(map(sub, counts, base.counts))
    p50, p90, p99 = percentiles(happened[:_ANSWERS], (50, 90, 99))
    return {
        "seconds": now - base.at,
        "answers": happened[_ANSWERS],
        "server_errors": happened[_ERRORS],
        "p50": p50,
        "p90": p90,
        "p99": p99,
    }
