"""The rollouts of a balancer that is in no fleet, as `control.fleet.rollouts` has those of a fleet: in its memory.

The command that rolls out renews its lock. If it dies the lock ends by itself, and what it has told of its progress
stays: another one goes on from there. A reload hands both over; they end with lbproxy.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from lbproxy.control.fleet.views import CANCELLED, LOCK_HOLDS, RolloutView
from lbproxy.control.log import event
from lbproxy.control.wording import has_the_pool
from lbproxy.errors import AdminError

log = logging.getLogger(__name__)

_TICKET = re.compile("[0-9a-f]{1,16}")


class KeptRollout(TypedDict):
    """One of them, as a generation hands it over: whether it is `held`, and the rest of a `_Kept`."""

    pool: str
    by: str
    since: float
    ticket: str
    cancelled: str
    progress: dict[str, Any]
    held: bool


@dataclass(slots=True)
class _Kept:
    """held_until: on the clock. cancelled: by whom it is told to stop. is_inherited: held, and not `resume`d yet."""

    pool: str
    by: str
    since: float
    ticket: str
    progress: dict[str, Any]
    held_until: float
    cancelled: str = ""
    is_inherited: bool = False


class LocalRollouts:
    """Locks and progress of the rollouts of `pools`, by the pool's name: one for each at the most."""

    def __init__(self, pools: Collection[str], clock: Callable[[], float] = time.monotonic) -> None:
        self._pools = pools
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    def __repr__(self) -> str:
        return f"<rollouts of {', '.join(self._kept) or 'no pool'}>"

    @property
    def views(self) -> list[RolloutView]:
        """Those that are under way, and those that have stopped, by their pools."""
        return [self._view(one) for _, one in sorted(self._kept.items())]

    async def begin(self, pool: str, by: str, progress: Mapping[str, Any], at: float) -> str:
        """Lock the pool for a rollout; returns the ticket that renews and ends it. Raises AdminError.

        at: in seconds since the epoch.
        """
        other = self._find(pool)
        if other is not None and self._is_held(other):
            raise AdminError(has_the_pool(self._view(other)))
        made = _Kept(pool, by, at, secrets.token_hex(8), dict(progress), self._clock() + LOCK_HOLDS)
        self._kept[pool] = made
        return made.ticket

    async def renew(self, pool: str, ticket: str, by: str, progress: Mapping[str, Any], at: float) -> str:
        """Keep the lock, and tell how far it has come; returns the ticket from now on.

        Raises AdminError: it was cancelled, or another rollout has the pool.
        """
        _check(ticket)
        kept = self._find(pool)
        if kept is None or kept.ticket != ticket:
            return await self.begin(pool, by, progress, at)  # lbproxy began anew
        if kept.cancelled:
            raise AdminError(f"{CANCELLED} by {kept.cancelled}")
        kept.progress, kept.held_until = dict(progress), self._clock() + LOCK_HOLDS
        return ticket

    async def end(self, pool: str, ticket: str, done: bool) -> None:
        """Give the lock back. What a rollout that is not `done` has told stays. Raises AdminError."""
        _check(ticket)
        kept = self._find(pool)
        if kept is None or kept.ticket != ticket:
            return
        kept.held_until = self._clock()
        if done:
            del self._kept[pool]

    async def cancel(self, pool: str, by: str) -> None:
        """Have the rollout of the pool stop; forget one that has stopped. Raises AdminError.

        The command hears of it when it renews its lock, within seconds.
        """
        kept = self._find(pool)
        if kept is None:
            raise AdminError(f"there is no rollout of pool {pool}")
        if self._is_held(kept):
            kept.cancelled = by
        else:
            del self._kept[pool]
        event(log, logging.INFO, "rollout_cancelled", pool=pool, by=by)

    def export(self) -> list[KeptRollout]:
        """For the next generation."""
        return [_exported(one, self._is_held(one)) for one in self._kept.values()]

    def adopt(self, left: Iterable[KeptRollout]) -> None:
        """Go on with those of the generation before this one, once it is told to `resume`."""
        now = self._clock()
        for one in left:
            if one["pool"] in self._pools:
                self._kept[one["pool"]] = _Kept(
                    one["pool"], one["by"], one["since"], one["ticket"], one["progress"], now, one["cancelled"],
                    is_inherited=one["held"],
                )  # fmt: skip

    def resume(self) -> None:
        """Commands renew their locks here from now on: each has the time for that, however long the start took."""
        now = self._clock()
        for one in self._kept.values():
            if one.is_inherited:
                one.held_until, one.is_inherited = now + LOCK_HOLDS, False

    def _find(self, pool: str) -> _Kept | None:
        if pool not in self._pools:
            raise AdminError(f"there is no pool {pool}; there is {', '.join(self._pools)}")
        return self._kept.get(pool)

    def _is_held(self, one: _Kept) -> bool:
        return one.is_inherited or self._clock() < one.held_until

    def _view(self, one: _Kept) -> RolloutView:
        return {
            "pool": one.pool, "by": one.by, "replica": "", "since": one.since, "held": self._is_held(one),
            "target": one.progress.get("target", ""), "step": one.progress.get("step", ""),
            "updated": list(one.progress.get("updated", ())),
        }  # fmt: skip


def _check(ticket: str) -> None:
    if not _TICKET.fullmatch(ticket):
        raise AdminError(f"{ticket!r} is not the ticket of a rollout")


def _exported(one: _Kept, held: bool) -> KeptRollout:
    return {
        "pool": one.pool, "by": one.by, "since": one.since, "ticket": one.ticket, "cancelled": one.cancelled,
        "progress": one.progress, "held": held,
    }  # fmt: skip
