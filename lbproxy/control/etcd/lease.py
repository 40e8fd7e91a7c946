"""A lease that is kept alive: the keys under it are there for as long as their owner is."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from lbproxy.control import tasks
from lbproxy.control.etcd.errors import EtcdError, EtcdRefusedError, EtcdUnavailableError
from lbproxy.control.etcd.gateway import DEADLINE

if TYPE_CHECKING:
    from lbproxy.control.etcd.client import Etcd


class Lease:
    """`id` for `put`; renewed three times within each of its `ttl` seconds.

    `lost` is set when etcd says that it is gone, or could not be asked for so long that it must be. Then its keys are
    gone or about to go: get another lease, and write them again.
    """

    def __init__(self, etcd: Etcd, number: int, ttl: float, granted: float) -> None:
        """granted: when that was asked for, on the loop's clock. Use `grant`."""
        self.id = number
        self.ttl = ttl
        self.lost = asyncio.Event()
        self._etcd = etcd
        self._until = granted + ttl
        self._keeping = tasks.start(self._keep(), name="etcd_lease")

    def __repr__(self) -> str:
        return f"<lease {self.id:x} of {self.ttl:g} s{', lost' if self.lost.is_set() else ''}>"

    @classmethod
    async def grant(cls, etcd: Etcd, ttl: float) -> Lease:
        """A new lease of `ttl` seconds. Raises EtcdError."""
        asked = asyncio.get_running_loop().time()
        number, granted = await etcd.grant(ttl)
        return cls(etcd, number, granted, asked)

    async def revoke(self, within: float = DEADLINE) -> None:
        """End it, with its keys, within so many seconds. Raises EtcdUnavailableError; then it ends within its `ttl`."""
        await self.abandon()
        with suppress(EtcdRefusedError):  # it is gone already
            await self._etcd.revoke(self.id, within)

    async def abandon(self) -> None:
        """Renew it no more."""
        await tasks.stop(self._keeping)

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        pause = self.ttl / 3
        while True:
            await asyncio.sleep(pause)
            asked = loop.time()
            if asked >= self._until:
                break
            try:
                left = await self._etcd.keep_alive(self.id, self._until - asked)
            except EtcdUnavailableError:
                pause = 0.1
                continue
            except EtcdError:
                break
            if left <= 0:
                break
            self._until, pause = asked + left, self.ttl / 3
        self.lost.set()
