"""How late an event loop is: for so long nothing of what it serves went on."""

from __future__ import annotations

from bisect import bisect_left

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the histogram's buckets, in seconds; below 5 ms there is nothing that a user could notice."""

WINDOW = 10.0
"""Seconds that the worst one is remembered for, at least; twice that at most."""


class LoopLag:
    """Of one loop. `seconds` is the sum of all observations, `observed` their number."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._worst = self._worst_before = 0.0  # of this window, and of the one before
        self._began = 0.0  # this window

    def __repr__(self) -> str:
        return f"<lag of at most {self.worst:.3f} s>"

    def observe(self, seconds: float, now: float) -> None:
        """A timer went off so much too late at `now` (monotonic seconds); too early is not late."""
        late = max(0.0, seconds)
        if now - self._began >= WINDOW:
            self._worst_before, self._worst, self._began = self._worst, 0.0, now
        self._worst = max(self._worst, late)
        self._buckets[bisect_left(BOUNDS, late)] += 1
        self.seconds += late

    @property
    def worst(self) -> float:
        """The longest of late, in seconds."""
        return max(self._worst, self._worst_before)

    @property
    def observed(self) -> int:
        return sum(self._buckets)

    def histogram(self) -> list[tuple[float, int]]:
        """[(upper bound in seconds, observations at or below it)], without the last bucket, which is all of them."""
        return [(bound, sum(self._buckets[: index + 1])) for index, bound in enumerate(BOUNDS)]
