"""Slow start: a backend that comes back gets a small part of its share at first, then linearly more.

A connector that has just started has cold caches and no connections to its directory; a full share at once would be
the first thing to make it fail again.
"""

from __future__ import annotations

from lbproxy.balance.backend import Backend, State
from lbproxy.balance.rotation import Rotation

FIRST_WEIGHT = 0.1
"""A ramp begins here and grows linearly to 1: with less, a quiet service would not use the backend at all."""


class SlowStart:
    """Gives members of `rotation` their ramp, for `seconds` after each of them has joined.

    A ramp is relative to the greatest one in the rotation: a backend that is alone has its whole share, and backends
    that came back together share equally. Nothing is done for a request; ramps are as new as the last `tick`.
    """

    __slots__ = ("_rotation", "_since", "seconds")

    def __init__(self, rotation: Rotation, seconds: float) -> None:
        """seconds: 0 for no slow start."""
        self.seconds = seconds
        self._rotation = rotation
        self._since: dict[Backend, float] = {}  # members in their slow start, and when it began

    def __repr__(self) -> str:
        return f"<slow start of {' '.join(f'{member.name}={member.ramp:.2f}' for member in self._since) or 'none'}>"

    def is_due(self, backend: Backend, now: float) -> bool:
        """Whether `backend`, which is about to be up, has to start slowly.

        A new backend starts slowly only if another has served for a while. When the balancer itself starts, all
        backends are new to it, and have worked all the time.
        """
        if backend.state is not State.NEW:
            return True
        return any(now - other.since >= self.seconds for other in self._rotation.members)

    def begin(self, backend: Backend, now: float) -> None:
        """A member that has just joined starts slowly."""
        if self.seconds:
            self._since[backend] = now

    def since(self, backend: Backend) -> float | None:
        """When the slow start of `backend` began, None if it is in none."""
        return self._since.get(backend)

    def end(self, backend: Backend) -> None:
        """`backend` is no member any more."""
        self._since.pop(backend, None)
        backend.ramp = 1.0

    def tick(self, now: float) -> None:
        """Bring the ramps to what they have to be at `now`, in monotonic seconds, and with the members of now."""
        if not self._since:
            return
        ramps = {backend: self._ramp(now - since) for backend, since in self._since.items()}
        greatest = max(ramps.values()) if len(ramps) == len(self._rotation) else 1.0
        for backend, ramp in ramps.items():
            backend.ramp = ramp / greatest
            self._rotation.weigh(backend)
            if ramp == 1.0:
                del self._since[backend]

    def _ramp(self, elapsed: float) -> float:
        return FIRST_WEIGHT + (1.0 - FIRST_WEIGHT) * min(max(elapsed / self.seconds, 0.0), 1.0)
