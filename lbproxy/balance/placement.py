"""Which backends are in rotation: every one that is fit, and standbys while too few others are."""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.balance.backend import Backend
from lbproxy.balance.rotation import Rotation
from lbproxy.balance.slow_start import SlowStart


class Placement:
    """Keeps `rotation` true to its backends. `last_resort` has every backend that takes work, whatever its health.

    A standby that is fit waits outside while at least `standby_below` backends that are no standbys are in rotation.
    """

    __slots__ = ("_moved", "_primaries", "_standby_below", "_standbys", "last_resort", "rotation", "slow_start")

    def __init__(self, slow_start: float, standby_below: int, moved: Callable[[Backend], None]) -> None:
        """slow_start: seconds. moved: called for each standby that comes or goes because of others."""
        self.rotation = Rotation()
        self.slow_start = SlowStart(self.rotation, slow_start)
        self.last_resort = Rotation()
        self._standby_below = standby_below
        self._standbys: dict[Backend, None] = {}  # in the order in which they came
        self._primaries = 0  # in rotation, and no standbys
        self._moved = moved

    def __repr__(self) -> str:
        return f"<placement {self.rotation!r}, {len(self._standbys)} standbys>"

    def settle(self, backend: Backend, now: float, slowly: bool = True) -> None:
        """`backend` may have changed at `now`: let it in or out. slowly: one that comes in has a slow start."""
        if backend.standby and not backend.departed:
            self._standbys[backend] = None
        else:
            self._standbys.pop(backend, None)
        _put(self.last_resort, backend, backend.takes_work)
        self._place(backend, backend.fit and (not backend.standby or self._standbys_work), now, slowly)
        self._primaries = len(self.rotation) - sum(standby.placed for standby in self._standbys)
        for standby in self._standbys:
            if standby.placed != (standby.fit and self._standbys_work):
                self._place(standby, not standby.placed, now, slowly)
                if standby is not backend:
                    self._moved(standby)
        self.slow_start.tick(now)

    @property
    def waiting(self) -> int:
        """Standbys that are fit, and wait."""
        return sum(standby.fit and not standby.placed for standby in self._standbys)

    def is_alone(self, backend: Backend) -> bool:
        """Whether `backend` is in rotation, and without it no backend would be."""
        if not backend.placed or len(self.rotation) > 1:
            return False
        return not any(standby.fit for standby in self._standbys if standby is not backend)

    @property
    def _standbys_work(self) -> bool:
        return self._primaries < self._standby_below

    def _place(self, backend: Backend, inside: bool, now: float, slowly: bool) -> None:
        backend.placed = inside
        if not _put(self.rotation, backend, inside):
            return
        if not inside:
            self.slow_start.end(backend)
        elif slowly:
            self.slow_start.begin(backend, now)


def _put(rotation: Rotation, backend: Backend, inside: bool) -> bool:
    """Let `backend` be a member, or not; whether that changed anything."""
    if inside == (backend in rotation):
        if inside:
            rotation.weigh(backend)
        return False
    if inside:
        rotation.add(backend)
    else:
        rotation.remove(backend)
    return True
