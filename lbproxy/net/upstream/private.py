"""The private lanes of one client connection: rules 2 to 4 of docs/lanes.md."""

from __future__ import annotations

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.net.upstream.lane import Lane, Waiter
from lbproxy.reasons import Reason

PARTING = 5.0
"""Seconds after an answer in which a client is left alone though the backend that it follows drains: browsers ask for
the rest of a page in that time, and whatever they ask is answered with a `Connection: close`."""


class PrivateLanes:
    """One lane a backend at most; `followed` is the one of them that was authenticated last."""

    __slots__ = ("_by_backend", "followed")

    def __init__(self) -> None:
        self._by_backend: dict[Backend, Lane] = {}
        self.followed: Lane | None = None

    def __repr__(self) -> str:
        return f"<private lanes {list(self._by_backend.values())}, following {self.followed}>"

    def get(self, backend: Backend) -> Lane | None:
        """The lane to `backend`."""
        return self._by_backend.get(backend)

    @property
    def lanes(self) -> list[Lane]:
        """Those that may serve again."""
        return list(self._by_backend.values())

    def claim(self, lane: Lane, owner: Waiter) -> None:
        """Make it the owner's, for good."""
        if not lane.private:
            lane.claim(owner)
            # An offer on a shared lane may bring a second one to the same backend: it closes with its answer.
            self._by_backend.setdefault(lane.backend, lane)

    def follow(self, lane: Lane) -> None:
        """Requests without a token go where this lane goes, and it replaces another one to its backend."""
        former = self._by_backend.get(lane.backend)
        self.followed = self._by_backend[lane.backend] = lane
        if former is not None and former is not lane:
            former.close(reasons.LANE_OWNER_GONE)

    def keeps(self, lane: Lane) -> bool:
        """Whether it is the one to its backend, which may serve again."""
        return self._by_backend.get(lane.backend) is lane

    def drop(self, lane: Lane, reason: Reason | None) -> bool:
        """Close it, shared or private: whether it was followed. Nothing is, then: a closed lane never."""
        if self.keeps(lane):
            del self._by_backend[lane.backend]
        lane.close(reason)
        was_followed = lane is self.followed
        if was_followed:
            self.followed = None
        return was_followed

    def let_go(self, backend: Backend, busy: Lane | None) -> bool:
        """Close the lane to `backend`, unless it is answering, or followed: whether it is that and nothing else."""
        lane = self._by_backend.get(backend)
        if lane is None or lane is busy:
            return False
        if lane is not self.followed:
            self.drop(lane, reasons.LANE_DRAINED)
        return lane is self.followed

    def forget(self, busy: Lane | None) -> None:
        """Close all of them, but for the one that is answering: that one closes with its answer."""
        self.followed = None
        lanes, self._by_backend = self._by_backend, {}
        for lane in lanes.values():
            if lane is not busy:
                lane.close(reasons.LANE_OWNER_GONE)
