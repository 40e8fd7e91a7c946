"""The backends that may be picked now, taken in turn: uniform round robin."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from lbproxy.balance.backend import Backend


class Rotation:
    """A queue: the head is next, a backend that was picked goes to the tail, and so does one that joins.

    So nobody is skipped or doubled when members come and go, and a member that comes and goes all the time cannot
    starve the others: each member is picked within `len(rotation)` picks, counted from any moment.
    pick is O(1) and needs no cursor to be mended; add is O(1), remove and `in` are O(n) (they run once a change).
    """

    __slots__ = ("_queue",)

    def __init__(self) -> None:
        self._queue: deque[Backend] = deque()

    def add(self, backend: Backend) -> None:
        """Let `backend` be picked, after everybody who is waiting already."""
        assert backend not in self._queue, backend
        self._queue.append(backend)

    def remove(self, backend: Backend) -> None:
        """Never pick `backend` again; ValueError if it is no member."""
        self._queue.remove(backend)

    def pick(self, tried: Collection[Backend] = ()) -> Backend | None:
        """The next member that is not in `tried`, or None. Those that are skipped keep their place."""
        queue = self._queue
        if not queue:
            return None
        backend = queue[0]
        if not tried or backend not in tried:
            queue.rotate(-1)
            return backend
        return self._pick_further(tried)

    def _pick_further(self, tried: Collection[Backend]) -> Backend | None:
        for backend in self._queue:
            if backend not in tried:
                self._queue.remove(backend)
                self._queue.append(backend)
                return backend
        return None

    @property
    def members(self) -> tuple[Backend, ...]:
        """Every member, the next one first."""
        return tuple(self._queue)

    def __len__(self) -> int:
        return len(self._queue)

    def __contains__(self, backend: object) -> bool:
        return backend in self._queue

    def __repr__(self) -> str:
        return f"<rotation {' '.join(backend.name for backend in self._queue) or 'empty'}>"
