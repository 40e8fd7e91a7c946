"""The backends that may be picked now, taken in turn: round robin, and smoothly weighted where shares differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from heapq import heapify, heappop, heappush
from math import lcm

from lbproxy.balance.backend import Backend
from lbproxy.balance.member import MAX_WEIGHT
from lbproxy.balance.round_robin import RoundRobin

_PARTS = 100
"""Of a ramp: a share is a whole number of hundredths of a turn, so that nothing is rounded away in the long run."""

_SCALE = lcm(*range(1, MAX_WEIGHT + 1)) * _PARTS
"""Divided by a share it is exact for every weight without a ramp."""

_Due = tuple[int, int, Backend]


class Rotation(RoundRobin):
    """A queue: the head is next, a backend that was picked goes to the tail, and so does one that joins.

    So no member is skipped or picked twice when others come and go, and a member that comes and goes all the time
    cannot starve the others: each member is picked within `len(rotation)` picks, counted from any moment.

    While shares (weight times ramp) differ, the member that is due first is next: after a pick, one with share w is due
    again after 1/w of a virtual round (earliest deadline first; C. A. Waldspurger, W. E. Weihl, "Stride Scheduling",
    MIT/LCS/TM-528). With whole weights, each round of as many picks as the sum of the weights has each member exactly
    as often as its weight says, evenly spread over the round.

    pick is O(1), O(log n) while shares differ, and O(n) for a request that has failed already; add and remove are O(n).
    """

    __slots__ = ("_clock", "_count", "_dues", "_heap", "_serial", "_strides")

    def __init__(self) -> None:
        self._strides: dict[Backend, int] = {}  # of every member: virtual time from one of its turns to the next
        self._count = Counter[int]()  # of members by their stride
        self._dues: dict[Backend, _Due] = {}  # while shares differ; the same object is in the heap
        self._heap: list[_Due] = []  # those that are not a member's due any more are passed over
        self._clock = self._serial = 0

    def add(self, backend: Backend) -> None:
        """Let `backend` be picked, after all members that wait already."""
        assert backend not in self._strides, backend
        self.append(backend)
        self._change(backend, _stride(backend))
        if self._balance():
            self._schedule(backend, self._clock + self._strides[backend])

    def remove(self, backend: Backend) -> None:
        """Never pick `backend` again; ValueError if it is no member."""
        super().remove(backend)
        self._change(backend, 0)
        self._dues.pop(backend, None)
        self._balance()

    def __contains__(self, backend: object) -> bool:
        return backend in self._strides

    def weigh(self, backend: Backend) -> None:
        """The weight or the ramp of a member has changed: what it has waited for counts in proportion."""
        before, after = self._strides[backend], _stride(backend)
        if before == after:
            return
        self._change(backend, after)
        if self._balance():
            self._schedule(backend, self._clock + (self._dues[backend][0] - self._clock) * after // before)

    def pick(self, tried: Collection[Backend] = ()) -> Backend | None:
        """The next member that is not in `tried`, or None. Those that are skipped keep their place."""
        if tried or not self:
            return self._pick_further(tried)
        if not self.weighted:
            return self.take_turn()
        while True:
            due = heappop(self._heap)
            if self._dues.get(due[2]) is due:
                self._clock = due[0]
                return self._picked(due[2], due[0])

    def _pick_further(self, tried: Collection[Backend]) -> Backend | None:
        if self.weighted:
            due = min((due for backend, due in self._dues.items() if backend not in tried), default=None)
            return None if due is None else self._picked(due[2], self._clock)  # not later, however often it helps
        for backend in self.members:
            if backend not in tried:
                super().remove(backend)
                self.append(backend)
                return backend
        return None

    def _picked(self, backend: Backend, now: int) -> Backend:
        self._schedule(backend, now + self._strides[backend])
        return backend

    def _schedule(self, backend: Backend, when: int) -> None:
        self._serial += 1
        due = self._dues[backend] = (when, self._serial, backend)
        heappush(self._heap, due)
        if len(self._heap) > 2 * len(self._dues) + 16:  # members that come, go and change leave something behind
            self._heap = list(self._dues.values())
            heapify(self._heap)

    def _change(self, backend: Backend, stride: int) -> None:
        """Give a member its stride; 0 takes it away."""
        before = self._strides.pop(backend, 0)
        if before:
            self._count[before] -= 1
            if not self._count[before]:
                del self._count[before]
        if stride:
            self._strides[backend] = stride
            self._count[stride] += 1

    def _balance(self) -> bool:
        """Begin, or end, to count virtual time, when shares begin or cease to differ: whether it was counted before."""
        counted, self.weighted = self.weighted, len(self._count) > 1
        if counted == self.weighted:
            return counted
        self._dues.clear()
        self._heap.clear()
        self._clock = 0
        if self.weighted:
            for backend in self.members:
                self._schedule(backend, self._strides[backend] // 2)  # in the middle of its part of a round
        return False

    def __repr__(self) -> str:
        return f"<rotation {' '.join(backend.name for backend in self.members) or 'empty'}>"


def _stride(backend: Backend) -> int:
    return _SCALE // max(1, round(backend.weight * backend.ramp * _PARTS))
