"""One rollout a pool at a time over the fleet: a lock under a lease, and beside it how far the rollout has come.

The command that rolls out renews its lock through the balancer. If it dies the lock ends with its lease, and what it
has told of its progress stays: another one goes on from there.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from lbproxy.control.etcd import Etcd, EtcdError, KeyValue, values
from lbproxy.control.fleet import keys
from lbproxy.control.fleet.views import CANCELLED, LOCK_HOLDS, ONE_AT_A_TIME, RolloutView
from lbproxy.control.log import event
from lbproxy.control.wording import has_the_pool
from lbproxy.errors import AdminError

log = logging.getLogger(__name__)


class Rollouts:
    """Locks and progress in `fleet`, for commands on the balancer `replica`. `views` is what etcd has of them."""

    def __init__(self, etcd: Etcd, fleet: str, replica: str) -> None:
        self.views: list[RolloutView] = []
        self.ignored: dict[str, str] = {}
        self._etcd = etcd
        self._prefix = keys.rollouts(fleet)
        self._replica = replica

    def __repr__(self) -> str:
        return f"<rollouts of {', '.join(one['pool'] for one in self.views) or 'no pool'}>"

    async def begin(self, pool: str, by: str, progress: Mapping[str, Any], at: float) -> str:
        """Lock the pool for a rollout; returns the ticket that renews and ends it. Raises AdminError.

        at: in seconds since the epoch.
        """
        try:
            lease, _ = await self._etcd.grant(LOCK_HOLDS)
            await self._lock(pool, lease, {"by": by, "replica": self._replica, "since": at, **progress})
        except EtcdError as error:
            raise AdminError(f"the fleet cannot be asked, and a rollout needs all of it: {error}") from None
        return f"{lease:x}"

    async def renew(self, pool: str, ticket: str, by: str, progress: Mapping[str, Any], at: float) -> str:
        """Keep the lock, and tell how far it has come; returns the ticket from now on.

        Raises AdminError: another rollout has the pool, or etcd cannot be asked now, which may be tried again.
        """
        try:
            lease = _lease(ticket)
            if await self._etcd.keep_alive(lease) > 0:
                found = await self._etcd.get(f"{self._prefix}{pool}/lock")
                if found is not None and found.lease == lease:
                    told = _told(found)
                    if by_whom := told.get("cancelled"):
                        raise AdminError(f"{CANCELLED} by {by_whom}")
                    await self._tell(pool, {**told, **progress})
                    return ticket
        except (EtcdError, ValueError) as error:
            raise AdminError(f"etcd: {error}") from None
        return await self.begin(pool, by, progress, at)

    async def end(self, pool: str, ticket: str, done: bool) -> None:
        """Give the lock back. What a rollout that is not `done` has told stays. Raises AdminError."""
        try:
            lease, lock = _lease(ticket), f"{self._prefix}{pool}/lock"
            found = await self._etcd.get(lock)
            if found is None or found.lease != lease:
                return
            gone = [values.delete(lock), *([values.delete(f"{self._prefix}{pool}/progress")] if done else [])]
            await self._etcd.txn([values.unchanged(lock, found.modified)], gone, repeatable=True)
        except EtcdError as error:
            raise AdminError(f"etcd: {error}") from None

    async def cancel(self, pool: str, by: str) -> None:
        """Have the rollout of the pool stop; forget one that has stopped. Raises AdminError.

        The command hears of it when it renews its lock, within seconds.
        """
        lock, progress = (f"{self._prefix}{pool}/{kind}" for kind in ("lock", "progress"))
        try:
            found = await self._etcd.get(lock)
            if found is not None:
                marked = values.put(lock, keys.encode({**_told(found), "cancelled": by}), found.lease)
                done = await self._etcd.txn([values.unchanged(lock, found.modified)], [marked], repeatable=True)
            elif (stopped := await self._etcd.get(progress)) is not None:
                unchanged = [values.unchanged(progress, stopped.modified), values.unchanged(lock, 0)]
                done = await self._etcd.txn(unchanged, [values.delete(progress)], repeatable=True)
            else:
                raise AdminError(f"there is no rollout of pool {pool}")
        except (EtcdError, ValueError) as error:
            raise AdminError(f"etcd: {error}") from None
        if not done.succeeded:
            raise AdminError(f"the rollout of pool {pool} has changed meanwhile; look at it again")
        event(log, logging.INFO, "rollout_cancelled", pool=pool, by=by)

    def see(self, found: Mapping[str, KeyValue]) -> None:
        """etcd has these keys."""
        self.views, self.ignored = [], {}
        for text, one in sorted(found.items()):
            pool, _, kind = text.removeprefix(self._prefix).partition("/")
            try:
                if kind == "progress":
                    held = f"{self._prefix}{pool}/lock" in found
                    self.views.append(_view(pool, _told(one), held))
            except ValueError as error:
                self.ignored[text] = str(error)

    async def _lock(self, pool: str, lease: int, told: Mapping[str, Any]) -> None:
        lock, progress = f"{self._prefix}{pool}/lock", f"{self._prefix}{pool}/progress"
        value = keys.encode(told)
        done = await self._etcd.txn(
            [values.unchanged(lock, 0)],
            [values.put(lock, value, lease), values.put(progress, value)],
            [values.read(lock), values.read(progress)],
            repeatable=True,
        )
        found = () if done.succeeded else done.listings[0].values
        if done.succeeded or (found and found[0].lease == lease):
            return
        await self._etcd.revoke(lease)
        raise AdminError(_held(pool, found, done.listings[1].values))

    async def _tell(self, pool: str, told: Mapping[str, Any]) -> None:
        await self._etcd.put(f"{self._prefix}{pool}/progress", keys.encode(told), repeatable=True)


def _lease(ticket: str) -> int:
    try:
        return int(ticket, 16)
    except ValueError:
        raise AdminError(f"{ticket!r} is not the ticket of a rollout") from None


def _told(found: KeyValue) -> dict[str, Any]:
    return keys.decode(found.value)


def _view(pool: str, told: Mapping[str, Any], held: bool) -> RolloutView:
    by, replica, since, step = (told.get(name) for name in ("by", "replica", "since", "step"))
    updated, target = told.get("updated", []), told.get("target", "")
    if not (isinstance(by, str) and isinstance(replica, str) and keys.is_time(since)):
        raise ValueError("it does not say by whom, where and when")
    if not (isinstance(updated, list) and isinstance(target, str) and isinstance(step, str)):
        raise ValueError("it does not say how far it has come")
    return {
        "pool": pool, "by": by, "replica": replica, "since": float(since), "held": held, "target": target, "step": step,
        "updated": [str(one) for one in updated],
    }  # fmt: skip


def _held(pool: str, lock: tuple[KeyValue, ...], progress: tuple[KeyValue, ...]) -> str:
    try:
        view = _view(pool, _told((progress or lock)[0]), True)
    except (ValueError, IndexError):
        return f"another rollout of pool {pool} is under way; {ONE_AT_A_TIME}"
    return has_the_pool(view)
