"""Backends that left their pool: what they have may finish, for a while; the rest is cut, with a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from lbproxy import reasons
from lbproxy.balance import full_name
from lbproxy.balance.backend import Backend
from lbproxy.reasons import Reason


class Leaving(Protocol):
    """A client connection, as far as a backend that goes away matters to it."""

    def cut(self, backend: Backend, reason: Reason) -> None:
        """End now what is still on `backend`."""


class _Departure(NamedTuple):
    """From which pool, and until when (monotonic seconds) its requests may finish."""

    pool: str
    until: float


class Departures:
    """Those that have left and have something to finish."""

    def __init__(self, patience: float) -> None:
        """patience: seconds, as `drain_timeout` is."""
        self._patience = patience
        self._departed: dict[Backend, _Departure] = {}

    def __repr__(self) -> str:
        return f"<departures {' '.join(backend.name for backend in self._departed) or 'none'}>"

    def __len__(self) -> int:
        return len(self._departed)

    @property
    def backends(self) -> tuple[Backend, ...]:
        """Those that still have something."""
        return tuple(self._departed)

    def left(self) -> Counter[str]:
        """How many requests each of them still has, by POOL/NAME; 1 if it has none, but a connection that is open."""
        found: Counter[str] = Counter()
        for backend, departure in self._departed.items():
            if not _is_done(backend):
                found[full_name.join(departure.pool, backend.name)] += max(1, backend.active)
        return found

    def add(self, pool: str, backend: Backend, now: float) -> None:
        """`backend` has left `pool`; its idle lanes close at once."""
        backend.lanes.close_idle(reasons.LANE_BACKEND_LEFT)
        if not _is_done(backend):
            self._departed[backend] = _Departure(pool, now + self._patience)

    def tick(self, now: float, clients: Iterable[Leaving]) -> None:
        """Forget those that have finished; cut what is left of those whose time is over."""
        over = [one for one, departure in self._departed.items() if now >= departure.until and not _is_done(one)]
        for client in tuple(clients) if over else ():
            for backend in over:
                client.cut(backend, reasons.BACKEND_LEFT)
        for backend in self.backends:
            backend.lanes.close_idle(reasons.LANE_BACKEND_LEFT)
            if _is_done(backend):
                del self._departed[backend]


def _is_done(backend: Backend) -> bool:
    lanes = backend.lanes
    return not (backend.active or lanes.idle or lanes.private or lanes.tunnels)
