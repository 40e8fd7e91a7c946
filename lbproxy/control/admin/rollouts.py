"""The lock of a rollout, which the command that rolls out holds: in the whole fleet, or else over this balancer.

    POST   /rollouts/POOL           begin one
    PUT    /rollouts/POOL/TICKET    keep the lock, and tell how far it has come
    DELETE /rollouts/POOL/TICKET    it has ended; ?done=true: all was updated
    DELETE /rollouts/POOL           cancel it, whoever has begun it; what one that has stopped has told is forgotten

The first two take and tell {"target": NAME, "step": ..., "updated": [NAME, ...]}, and are answered with
{"ticket": ...}. 409 and one sentence say why not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from lbproxy.control.admin import body, web
from lbproxy.control.admin.peer import peer
from lbproxy.control.log import event
from lbproxy.errors import AdminError

log = logging.getLogger(__name__)


class Rollouts(Protocol):
    """Whoever keeps them. Each raises AdminError. at: in seconds since the epoch."""

    async def begin(self, pool: str, by: str, progress: Mapping[str, Any], at: float) -> str:
        """Lock the pool; returns the ticket that renews and ends it."""
        ...

    async def renew(self, pool: str, ticket: str, by: str, progress: Mapping[str, Any], at: float) -> str:
        """Keep the lock; returns the ticket from now on."""
        ...

    async def end(self, pool: str, ticket: str, done: bool) -> None:
        """Give it back."""
        ...

    async def cancel(self, pool: str, by: str) -> None:
        """Have the command stop; forget one that has stopped."""
        ...


class Progress(BaseModel):
    """How far a rollout has come."""

    model_config = ConfigDict(strict=True, extra="forbid")

    target: str = ""
    step: str = ""
    updated: list[str] = []


def rollout_routes(rollouts: Rollouts) -> list[web.Route]:
    """The routes above."""

    async def answer(acted: Awaitable[str | None]) -> web.Response:
        return web.json_response({"ticket": await acted})

    async def begin(request: web.Request) -> web.Response:
        pool, by, told = request.match_info["pool"], await peer(request), body.read(request, Progress).model_dump()
        try:
            begun = await answer(rollouts.begin(pool, by, told, time.time()))
        except AdminError as error:
            event(log, logging.INFO, "rollout_refused", pool=pool, by=by, why=error)
            raise
        event(log, logging.INFO, "rollout_begun", pool=pool, by=by)
        return begun

    async def renew(request: web.Request) -> web.Response:
        by, told = await peer(request), body.read(request, Progress).model_dump()
        pool, ticket = request.match_info["pool"], request.match_info["ticket"]
        return await answer(rollouts.renew(pool, ticket, by, told, time.time()))

    async def end(request: web.Request) -> web.Response:
        pool, ticket, done = *map(request.match_info.get, ("pool", "ticket")), request.query.get("done") == "true"
        return await answer(rollouts.end(str(pool), str(ticket), done))

    async def cancel(request: web.Request) -> web.Response:
        by = await peer(request)
        return await answer(rollouts.cancel(request.match_info["pool"], by))

    path, held = "/rollouts/{pool}", "/rollouts/{pool}/{ticket}"
    return [web.post(path, begin), web.delete(path, cancel), web.put(held, renew), web.delete(held, end)]
