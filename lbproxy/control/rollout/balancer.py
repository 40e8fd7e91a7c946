"""The running balancer, as a rollout sees it: through its admin interface, without blocking the event loop."""

from __future__ import annotations

import asyncio

from lbproxy.control.admin import client
from lbproxy.control.admin.sockets import Bind
from lbproxy.control.rollout.plan import Target, choose_pool
from lbproxy.control.snapshot import BackendView, PoolView


class AdminBalancer:
    """`runner.Balancer` for the admin interface at `bind`. Every method raises AdminError."""

    def __init__(self, bind: Bind) -> None:
        self._bind = bind

    def __repr__(self) -> str:
        return f"<balancer at {self._bind}>"

    async def pool(self, name: str) -> PoolView:
        """See `runner.Balancer`."""
        return choose_pool(await asyncio.to_thread(client.fetch_status, self._bind), name)

    async def backend(self, target: Target) -> BackendView:
        """See `runner.Balancer`."""
        return (await asyncio.to_thread(client.fetch_backend, self._bind, str(target)))["backend"]

    async def drain(self, target: Target, force: bool) -> None:
        """See `runner.Balancer`."""
        await asyncio.to_thread(client.drain, self._bind, str(target), force)

    async def ready(self, target: Target) -> None:
        """See `runner.Balancer`."""
        await asyncio.to_thread(client.make_ready, self._bind, str(target))
