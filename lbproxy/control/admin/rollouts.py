"""The lock of a rollout in a fleet, which the command that rolls out holds.

    POST   /rollouts/POOL           begin one
    PUT    /rollouts/POOL/TICKET    keep the lock, and tell how far it has come
    DELETE /rollouts/POOL/TICKET    it has ended; ?done=true: all was updated
    DELETE /rollouts/POOL           cancel it, whoever has begun it; what one that has stopped has told is forgotten

The first two take and tell {"target": NAME, "step": ..., "updated": [NAME, ...]}, and are answered with
{"ticket": ...}. 409 and one sentence say why not.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from lbproxy.control.admin import body, web
from lbproxy.control.admin.peer import peer
from lbproxy.errors import AdminError

if TYPE_CHECKING:
    from lbproxy.control.fleet.rollouts import Rollouts


class Progress(BaseModel):
    """How far a rollout has come."""

    model_config = ConfigDict(strict=True, extra="forbid")

    target: str = ""
    step: str = ""
    updated: list[str] = []


def rollout_routes(rollouts: Rollouts | None) -> list[web.Route]:
    """The routes above; `rollouts` is None where there is no fleet."""

    async def answer(act: Callable[[Rollouts], Awaitable[str | None]]) -> web.Response:
        if rollouts is None:
            raise AdminError("this balancer is in no fleet")
        return web.json_response({"ticket": await act(rollouts)})

    async def begin(request: web.Request) -> web.Response:
        by, told = await peer(request), body.read(request, Progress).model_dump()
        return await answer(lambda found: found.begin(request.match_info["pool"], by, told, time.time()))

    async def renew(request: web.Request) -> web.Response:
        by, told = await peer(request), body.read(request, Progress).model_dump()
        pool, ticket = request.match_info["pool"], request.match_info["ticket"]
        return await answer(lambda found: found.renew(pool, ticket, by, told, time.time()))

    async def end(request: web.Request) -> web.Response:
        pool, ticket, done = *map(request.match_info.get, ("pool", "ticket")), request.query.get("done") == "true"
        return await answer(lambda found: found.end(str(pool), str(ticket), done))

    async def cancel(request: web.Request) -> web.Response:
        by = await peer(request)
        return await answer(lambda found: found.cancel(request.match_info["pool"], by))

    path, held = "/rollouts/{pool}", "/rollouts/{pool}/{ticket}"
    return [web.post(path, begin), web.delete(path, cancel), web.put(held, renew), web.delete(held, end)]
