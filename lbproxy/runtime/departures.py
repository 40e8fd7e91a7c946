"""Backends that left their pool: what they have may finish, for a while; the rest is cut, with a reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.reasons import Reason


class Leaving(Protocol):
    """A client connection, as far as a backend that goes away matters to it."""

    def cut(self, backend: Backend, reason: Reason) -> None:
        """End now what is still on `backend`."""


class Departures:
    """Those that have left, each with the time (monotonic seconds) until which its requests may finish."""

    def __init__(self, patience: float) -> None:
        """patience: seconds, as `drain_timeout` is."""
        self._patience = patience
        self._until: dict[Backend, float] = {}

    def __repr__(self) -> str:
        return f"<departures {' '.join(backend.name for backend in self._until) or 'none'}>"

    def __len__(self) -> int:
        return len(self._until)

    @property
    def backends(self) -> tuple[Backend, ...]:
        """Those that still have something."""
        return tuple(self._until)

    def add(self, backend: Backend, now: float) -> None:
        """`backend` has left; its idle lanes close at once."""
        backend.lanes.close_idle(reasons.LANE_BACKEND_LEFT)
        if not _is_done(backend):
            self._until[backend] = now + self._patience

    def tick(self, now: float, clients: Iterable[Leaving]) -> None:
        """Forget those that have finished; cut what is left of those whose time is over."""
        over = [backend for backend, until in self._until.items() if now >= until and not _is_done(backend)]
        for client in tuple(clients) if over else ():
            for backend in over:
                client.cut(backend, reasons.BACKEND_LEFT)
        for backend in self.backends:
            backend.lanes.close_idle(reasons.LANE_BACKEND_LEFT)
            if _is_done(backend):
                del self._until[backend]


def _is_done(backend: Backend) -> bool:
    lanes = backend.lanes
    return not (backend.active or lanes.idle or lanes.private or lanes.tunnels)
