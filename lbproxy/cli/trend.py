"""How the numbers of the backends went since `status --watch` began, as sparklines."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from lbproxy.control.snapshot import BackendView, PoolView, Snapshot
from lbproxy.control.waits import answers

LENGTH = 8
"""Columns of a sparkline, a second each."""

_MARKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Iterable[float | None]) -> str:
    """A column each, from 0 to the largest of them; a space for None."""
    found = list(values)
    top = max((value for value in found if value is not None), default=0.0) or 1.0
    return "".join(" " if value is None else _MARKS[min(7, int(8 * value / top))] for value in found)


class Trend:
    """Notes one snapshot after the other."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[int, int, float]] = {}  # requests, answers, and the seconds of those
        self._uptime = 0.0
        self._rates: dict[tuple[str, str], deque[float]] = {}
        self._waits: dict[tuple[str, str], deque[float | None]] = {}

    def __repr__(self) -> str:
        return f"<trend of {len(self._last)} backends>"

    def note(self, snapshot: Snapshot) -> None:
        """What happened since the last one."""
        passed = snapshot["uptime_seconds"] - self._uptime
        self._uptime = snapshot["uptime_seconds"]
        there = {(pool["name"], one["name"]): one for pool in snapshot["pools"] for one in pool["backends"]}
        for name, backend in there.items():
            self._note(name, backend, passed)
        for gone in self._last.keys() - there.keys():
            del self._last[gone]
            self._rates.pop(gone, None)
            self._waits.pop(gone, None)

    def _note(self, name: tuple[str, str], backend: BackendView, passed: float) -> None:
        waits = backend["first_byte"]
        now = (backend["requests"], answers(waits), waits["sum"])
        last = self._last.get(name)
        self._last[name] = now
        if last is None or passed <= 0 or now[1] < last[1]:
            return
        self._rates.setdefault(name, deque(maxlen=LENGTH)).append(max(0, now[0] - last[0]) / passed)
        count = now[1] - last[1]
        self._waits.setdefault(name, deque(maxlen=LENGTH)).append((now[2] - last[2]) / count if count else None)

    def of_backend(self, pool: PoolView, backend: BackendView) -> str:
        """How long its answers took to begin, on average in each second."""
        return sparkline(self._waits.get((pool["name"], backend["name"]), ())).rjust(LENGTH)

    def of_pool(self, pool: PoolView) -> str:
        """Its requests a second: now, and how they went; empty while only one snapshot was noted."""
        rates = [rate for one in pool["backends"] if (rate := self._rates.get((pool["name"], one["name"])))]
        if not rates:
            return ""
        columns = [sum(rate[-at] for rate in rates if len(rate) >= at) for at in range(LENGTH, 0, -1)]
        longest = max(map(len, rates))
        return f"{sparkline(columns[LENGTH - longest :])} {columns[-1]:.0f}/s"
