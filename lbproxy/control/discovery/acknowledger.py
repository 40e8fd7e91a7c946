"""A balancer's own key in the registry: which changes it has seen, and what it still has on connectors that left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from lbproxy.control import tasks
from lbproxy.control.discovery.registry import Acknowledgement
from lbproxy.control.etcd import Etcd, EtcdError, Lease
from lbproxy.control.log import event

log = logging.getLogger(__name__)

LOOK = 0.25
"""Seconds between two counts of what is left on connectors that have gone."""

_PAUSE = 1.0  # seconds after a failure
_LAST_CALL = 1.0  # seconds that the end may take; the lease ends by itself

Count = Callable[[], Awaitable[Mapping[str, int] | None]]
"""What is left on members that have left the pool, by name, in all processes; None if not all of them have told."""


class Acknowledger:
    """Keeps `key` at the latest `Acknowledgement`, under a lease: a balancer that is gone has no key."""

    def __init__(self, etcd: Etcd, key: str, ttl: float, count: Count) -> None:
        """ttl: seconds, of the lease. It counts from now on, and writes when it was first told what was `seen`."""
        self._etcd = etcd
        self._key = key
        self._ttl = ttl
        self._count = count
        self._seen = 0
        self._written: Acknowledgement | None = None
        self._complete = True  # nothing is left, as it was counted last
        self._news = asyncio.Event()
        self._lease: Lease | None = None
        self._writing = tasks.start(self._keep(), name=f"acknowledger {key}")

    def __repr__(self) -> str:
        return f"<acknowledger of {self._key}, {self._written}>"

    def seen(self, revision: int) -> None:
        """The pool is as the registry was at `revision`."""
        if revision != self._seen:
            self._seen = revision
            self._news.set()

    async def stop(self) -> None:
        """Remove the key: no connector has to wait for this balancer any more."""
        await tasks.stop(self._writing)
        if self._lease is not None:
            try:
                await self._lease.revoke(_LAST_CALL)
            except EtcdError as error:
                event(log, logging.WARNING, "acknowledgement_left", key=self._key, error=error)

    async def _keep(self) -> None:
        failing = False
        await self._news.wait()
        while True:
            self._news.clear()
            try:
                await self._acknowledge()
                failing = False
            except EtcdError as error:
                if not failing:
                    event(log, logging.ERROR, "acknowledgement_failed", key=self._key, error=error)
                failing, self._written = True, None
                await asyncio.sleep(_PAUSE)
                continue
            await self._something_new()

    async def _acknowledge(self) -> None:
        """Count, and write what is not written yet. What is counted is no older than what was seen."""
        seen, left = self._seen, await self._count()
        self._complete = left is not None and not left
        if left is None:
            return
        now = Acknowledgement(seen, dict(left))
        if self._lease is None or self._lease.lost.is_set():
            self._lease, self._written = await self._etcd.hold(self._ttl), None
        if now != self._written:
            await self._etcd.put(self._key, now.encode(), self._lease.id, repeatable=True)
            self._written = now

    async def _something_new(self) -> None:
        """Something was seen, or is to be counted again, or the lease was lost and with it the key."""
        waits = [self._news.wait()]
        if self._lease is not None:
            waits.append(self._lease.lost.wait())
        await tasks.first(*waits, within=None if self._complete else LOOK)
