"""The last hour of each backend, one reading a minute: how many answers, how many 5xx, and how long they took.

A backend takes 1 KB. Each is read once a minute, a part of them in each tick, so that thousands cost no noticeable turn
of the loop. A reload keeps the history of the first `HANDED_OVER` backends.
"""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from math import ceil, isnan, nan

from lbproxy.balance import full_name
from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.control.admin.recent import BackendHistory, HistoryView
from lbproxy.control.snapshot import WindowView
from lbproxy.status.counters import key

EVERY = 60.0
"""Seconds between two readings of a backend."""

KEPT = 60
"""Readings of a backend."""

HANDED_OVER = 500
"""Backends."""

SHOWN = 200
"""Backends in one answer, at most."""

_ROUND = 300
"""Ticks in which every backend is read; there are ten a second."""

_FIELDS = 4


class History:
    """Of all backends of `pools`."""

    def __init__(
        self,
        pools: Mapping[str, Pool],
        minute: Callable[[Pool, Backend, float], WindowView],
        before: Mapping[str, str] | None = None,
    ) -> None:
        """minute: the last minute of a backend, at a monotonic second. before: what `export` gave."""
        self._pools = pools
        self._minute = minute
        self._readings = {name: _decoded(text) for name, text in (before or {}).items()}
        self._due: deque[tuple[Pool, Backend]] = deque()
        self._share = 0
        self._next: float | None = None

    def __repr__(self) -> str:
        return f"<history of {len(self._readings)} backends>"

    def tick(self, now: float) -> None:
        """Read those whose turn it is. now: monotonic seconds."""
        if self._next is None:
            self._next = now + EVERY  # until then there is no whole minute
        if not self._due and now >= self._next:
            self._begin(now)
        for _ in range(min(self._share, len(self._due))):
            pool, backend = self._due.popleft()
            self._note(key(pool, backend), self._minute(pool, backend, now))

    def _begin(self, now: float) -> None:
        self._next = now + EVERY
        self._due.extend((pool, backend) for pool in self._pools.values() for backend in pool.backends)
        self._share = ceil(len(self._due) / _ROUND)
        there = {key(pool, backend) for pool, backend in self._due}
        self._readings = {name: readings for name, readings in self._readings.items() if name in there}

    def _note(self, name: str, window: WindowView) -> None:
        readings = self._readings.setdefault(name, array("f"))
        p50, p99 = (nan if value is None else value for value in (window["p50"], window["p99"]))
        readings.extend((window["answers"], window["server_errors"], p50, p99))
        if len(readings) > KEPT * _FIELDS:
            del readings[:_FIELDS]

    def view(self, pool: str = "", backend: str = "") -> HistoryView:
        """That of the backends of `pool`, or of the one called `backend`; empty: any. At most `SHOWN` of them."""
        wanted = (
            (name, readings)
            for name, readings in self._readings.items()
            for of, own in [full_name.split(name)]
            if pool in ("", of) and backend in ("", own)
        )
        return {"every_seconds": EVERY, "backends": {name: _view(one) for name, one in islice(wanted, SHOWN)}}

    def export(self) -> dict[str, str]:
        """For the next generation."""
        return {
            name: b64encode(readings.tobytes()).decode()
            for name, readings in islice(self._readings.items(), HANDED_OVER)
        }


def _decoded(text: str) -> array[float]:
    readings = array("f")
    readings.frombytes(b64decode(text))
    return readings


def _view(readings: array[float]) -> BackendHistory:
    answers, errors, p50, p99 = (readings[at::_FIELDS] for at in range(_FIELDS))
    return {
        "answers": list(map(int, answers)),
        "server_errors": list(map(int, errors)),
        "p50": [None if isnan(value) else round(value, 6) for value in p50],
        "p99": [None if isnan(value) else round(value, 6) for value in p99],
    }
