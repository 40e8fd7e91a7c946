"""The running balancer, as a rollout sees it: through its admin interface, without blocking the event loop."""

from __future__ import annotations

import asyncio

from lbproxy.control.admin import client
from lbproxy.control.admin.sockets import Bind
from lbproxy.control.rollout.plan import Target, pools_with
from lbproxy.control.snapshot import InstanceView, PoolView


class AdminBalancer:
    """`runner.Balancer` for the admin interface at `bind`. Every method raises AdminError."""

    def __init__(self, bind: Bind) -> None:
        self._bind = bind

    def __repr__(self) -> str:
        return f"<balancer at {self._bind}>"

    async def pools(self, target: Target) -> list[PoolView]:
        """See `runner.Balancer`."""
        return pools_with(await asyncio.to_thread(client.fetch_status, self._bind), target.name)

    async def instance(self, target: Target) -> InstanceView:
        """See `runner.Balancer`."""
        return await asyncio.to_thread(client.fetch_instance, self._bind, target.name)

    async def drain(self, target: Target, force: bool) -> None:
        """See `runner.Balancer`."""
        await asyncio.to_thread(client.drain, self._bind, target.name, force)

    async def ready(self, target: Target) -> None:
        """See `runner.Balancer`."""
        await asyncio.to_thread(client.make_ready, self._bind, target.name)
