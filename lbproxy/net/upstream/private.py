"""The private lanes of one client connection, and what its binding does to them: docs/lanes.md."""

from __future__ import annotations

from lbproxy import reasons
from lbproxy.auth.binding import Binding, Effect, Route, State
from lbproxy.auth.spnego import Challenge, Credential
from lbproxy.balance.backend import Backend
from lbproxy.net.upstream.lane import Lane, Waiter
from lbproxy.reasons import Reason

PARTING = 5.0
"""Seconds after an answer in which a client is left alone though the backend that it follows drains: browsers ask for
the rest of a page in that time, and whatever they ask is answered with a `Connection: close`."""


_NO_LANES: dict[Backend, Lane] = {}
"""Of all clients that own none, which are most; it stays empty."""


class PrivateLanes:
    """One lane a backend at most; `followed` is the one of them that was authenticated last.

    They do what the `binding` says: where a request goes, what an answer or a loss means for them. `busy` is the lane
    of the client's current request, wherever it is asked for: that one is not closed, it closes with its answer.
    """

    __slots__ = ("_by_backend", "_owner", "binding", "closing", "followed", "pending")

    def __init__(self, owner: Waiter) -> None:
        self.binding = Binding()
        self.followed: Lane | None = None
        self.pending = False  # the binding does not know yet how the routed request ended
        self.closing = False  # all of them close with the current answer
        self._owner: Waiter | None = owner
        self._by_backend = _NO_LANES

    def __repr__(self) -> str:
        return f"<private lanes {list(self._by_backend.values())}, following {self.followed}>"

    def get(self, backend: Backend) -> Lane | None:
        """The lane to `backend`."""
        return self._by_backend.get(backend)

    @property
    def lanes(self) -> list[Lane]:
        """Those that may serve again."""
        return list(self._by_backend.values())

    @property
    def bound(self) -> Lane | None:
        """The lane that is followed, while no exchange is in progress: `request` would leave all as it is."""
        return self.followed if self.binding.state is State.BOUND else None

    # --- what the binding says

    def request(self, credential: Credential) -> Route:
        """Where a request with this credential goes."""
        route = self.binding.request(credential)
        self.pending = route is not Route.SHARED
        if route is Route.SPREAD:
            self.followed = None
        return route

    def answered(self, lane: Lane, status: int, challenge: Challenge) -> None:
        """The head of a final response came on a private lane, or has a challenge: the lane is the owner's now."""
        self.pending = False
        effect = self.binding.response(status, challenge)
        self.claim(lane)
        if effect is Effect.FOLLOW:
            self._follow(lane)
        elif effect is Effect.FORGET:
            self.followed = None
            self.closing = True

    def unanswered(self, busy: Lane | None) -> bool:
        """The routed request has no lane any more: True if the binding waited for its answer, and the client has to
        start again."""
        return self.pending and self._lost(busy)

    @property
    def ends_with_lane(self) -> bool:
        """Whether `unanswered` would be True now."""
        return self.pending and self.binding.ends_with_lane

    def _lost(self, busy: Lane | None) -> bool:
        """The lane that the binding waits for, or follows, is gone: True if the client has to start again."""
        self.pending = False
        must_close = self.binding.lane_lost()
        self.forget(busy)
        return must_close

    # --- the lanes

    def _own(self) -> dict[Backend, Lane]:
        if self._by_backend is _NO_LANES:
            self._by_backend = {}
        return self._by_backend

    def claim(self, lane: Lane) -> None:
        """Make it the owner's, for good."""
        if not lane.private:
            assert self._owner is not None, "a client connection that is over has no request"
            lane.claim(self._owner)
            # An offer on a shared lane may bring a second one to the same backend: it closes with its answer.
            self._own().setdefault(lane.backend, lane)

    def _follow(self, lane: Lane) -> None:
        """Requests without a token go where this lane goes, and it replaces another one to its backend."""
        former = self._by_backend.get(lane.backend)
        self.followed = self._own()[lane.backend] = lane
        if former is not None and former is not lane:
            former.close(reasons.LANE_OWNER_GONE)

    def keeps(self, lane: Lane) -> bool:
        """Whether it is the one to its backend, which may serve again."""
        return self._by_backend.get(lane.backend) is lane

    def drop(self, lane: Lane, reason: Reason | None, busy: Lane | None) -> bool:
        """Close it, shared or private: True if it was followed, and the client has to start again without it."""
        if self.keeps(lane):
            del self._by_backend[lane.backend]
        lane.close(reason)
        if lane is not self.followed:
            return False
        self.followed = None  # a closed lane never is
        return self._lost(busy)

    def let_go(self, backend: Backend, busy: Lane | None) -> bool:
        """Close the lane to `backend`, unless it is answering, or followed: whether it is that and nothing else."""
        lane = self._by_backend.get(backend)
        if lane is None or lane is busy:
            return False
        if lane is not self.followed:
            self.drop(lane, reasons.LANE_DRAINED, busy)
        return lane is self.followed

    def forget(self, busy: Lane | None) -> None:
        """Close all of them."""
        self.closing = False
        self.followed = None
        lanes, self._by_backend = self._by_backend, _NO_LANES
        for lane in lanes.values():
            if lane is not busy:
                lane.close(reasons.LANE_OWNER_GONE)

    def end(self) -> None:
        """The client connection is over: close all of them, and let go of it."""
        self.forget(None)
        self._owner = None
