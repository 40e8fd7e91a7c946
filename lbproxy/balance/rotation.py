"""The backends that may be picked now, taken in turn: round robin, uniform but for those in their slow start."""

from __future__ import annotations

from collections.abc import Collection
from itertools import cycle

from lbproxy.balance.backend import Backend
from lbproxy.balance.round_robin import RoundRobin


class Rotation(RoundRobin):
    """A queue: the head is next, a backend that was picked goes to the tail, and so does one that joins.

    So nobody is skipped or doubled when members come and go, and a member that comes and goes all the time cannot
    starve the others: each member is picked within `len(rotation)` picks, counted from any moment.

    A member whose weight is below 1 saves that part of each of its turns, and passes until it has saved a whole one:
    with 0.25 it is picked in every fourth round, however requests and other members come. Weights are relative: if
    all are below 1, rounds pass until somebody has saved enough.

    pick is O(1), but for those that pass, and needs no cursor to be mended; add is O(1), remove and `in` are O(n) (they
    run once a change), and so is the pick for a request that has failed already.
    """

    __slots__ = ("_saved",)

    def __init__(self) -> None:
        self._saved: dict[Backend, float] = {}  # by the members whose weight is below 1

    def add(self, backend: Backend) -> None:
        """Let `backend` be picked, after everybody who is waiting already."""
        assert backend not in self, backend
        self.append(backend)

    def remove(self, backend: Backend) -> None:
        """Never pick `backend` again; ValueError if it is no member."""
        super().remove(backend)
        self._forget_weight(backend)

    def weigh(self, backend: Backend, weight: float) -> None:
        """Give a member `weight` (above 0, at most 1) of a turn from now on; what it has saved stays."""
        assert 0.0 < weight <= 1.0, weight
        backend.weight = weight
        if weight < 1.0:
            self._saved.setdefault(backend, 0.0)
            self.weighted = True
        else:
            self._forget_weight(backend)

    def _forget_weight(self, backend: Backend) -> None:
        self._saved.pop(backend, None)
        self.weighted = bool(self._saved)

    def pick(self, tried: Collection[Backend] = ()) -> Backend | None:
        """The next member that is not in `tried`, or None. Those that are skipped keep their place."""
        if tried or not self:
            return self._pick_further(tried)
        while True:
            backend = self.take_turn()
            if not self.weighted or self._takes_turn(backend):
                return backend

    def _pick_further(self, tried: Collection[Backend]) -> Backend | None:
        for backend in cycle([member for member in self.members if member not in tried]):
            super().remove(backend)
            self.append(backend)
            if self._takes_turn(backend):
                return backend
        return None

    def _takes_turn(self, backend: Backend) -> bool:
        """Whether a member whose turn it is takes it."""
        saved = self._saved.get(backend)
        if saved is None:
            return True
        saved += backend.weight
        self._saved[backend] = saved - 1.0 if saved >= 1.0 else saved
        return saved >= 1.0

    def __repr__(self) -> str:
        return f"<rotation {' '.join(backend.name for backend in self.members) or 'empty'}>"
