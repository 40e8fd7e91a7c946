"""A balancer's own key in the registry: which changes it has seen, and what it still has on connectors that left."""

from __future__ import annotations

import asyncio
import logging

from lbproxy.control import tasks
from lbproxy.control.discovery.registry import Acknowledgement
from lbproxy.control.etcd import Etcd, EtcdError, Lease
from lbproxy.control.log import event

log = logging.getLogger(__name__)

_PAUSE = 1.0  # seconds after a failure


class Acknowledger:
    """Keeps `key` at the last `Acknowledgement` that was told, under a lease: a balancer that is gone has no key."""

    def __init__(self, etcd: Etcd, key: str, ttl: float) -> None:
        """ttl: seconds, of the lease."""
        self._etcd = etcd
        self._key = key
        self._ttl = ttl
        self._told: Acknowledgement | None = None
        self._news = asyncio.Event()
        self._lease: Lease | None = None
        self._writing = tasks.start(self._write(), name="acknowledger")

    def __repr__(self) -> str:
        return f"<acknowledger of {self._key}, {self._told}>"

    def tell(self, now: Acknowledgement) -> None:
        """Write that soon; what was told in between and is not written yet is left out."""
        if now != self._told:
            self._told = now
            self._news.set()

    async def stop(self) -> None:
        """Take the key away: nobody has to wait for this balancer any more."""
        self._writing.cancel()
        await asyncio.gather(self._writing, return_exceptions=True)
        if self._lease is not None:
            try:
                await self._lease.revoke()
            except EtcdError as error:
                event(log, logging.WARNING, "acknowledgement_left", key=self._key, error=error)

    async def _write(self) -> None:
        failing = False
        while True:
            await self._something_new()
            self._news.clear()
            assert self._told is not None
            try:
                if self._lease is None or self._lease.lost.is_set():
                    self._lease = await self._etcd.hold(self._ttl)
                await self._etcd.put(self._key, self._told.encode(), self._lease.id, repeatable=True)
                failing = False
            except EtcdError as error:
                if not failing:
                    event(log, logging.ERROR, "acknowledgement_failed", key=self._key, error=error)
                failing = True
                self._news.set()
                await asyncio.sleep(_PAUSE)

    async def _something_new(self) -> None:
        """Something was told, or the lease was lost and with it the key."""
        if self._lease is None:
            await self._news.wait()
            return
        waits = [asyncio.create_task(self._news.wait()), asyncio.create_task(self._lease.lost.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
