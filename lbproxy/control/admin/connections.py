"""The client connections that are open, over the admin interface.

    GET    /connections        some of them; ?pool= ?backend= ?user= ?address= ?limit= ?order=longest|newest
    DELETE /connections/ID     end one

The answer is a `ConnectionsView`, or the `ConnectionView` as it was; else 400 or 409, and one sentence.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Protocol

from lbproxy.control.admin import web
from lbproxy.control.admin.peer import peer
from lbproxy.control.live_connections import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    SLICE,
    ConnectionQuery,
    ConnectionsView,
    ConnectionView,
)


class Connections(Protocol):
    """What knows them. Both raise AdminError."""

    async def find(self, query: ConnectionQuery) -> ConnectionsView:
        """Those that match."""
        ...

    async def kick(self, identity: str, by: str) -> ConnectionView:
        """End one: how it was. by: who orders it."""
        ...


def connection_routes(connections: Connections) -> list[web.Route]:
    """The routes above."""

    async def find(request: web.Request) -> web.Response:
        found = await connections.find(_query(request.query))
        return web.Response(body=await encoded(found), content_type=web.JSON)

    async def kick(request: web.Request) -> web.Response:
        return web.json_response(await connections.kick(request.match_info["id"], await peer(request)))

    return [web.get("/connections", find), web.delete("/connections/{id}", kick)]


async def encoded(found: ConnectionsView) -> bytes:
    """`found` as JSON. There may be thousands, and users' requests, which may be on this loop, go on."""
    connections, pieces = found["connections"], []
    for at in range(0, len(connections), SLICE):
        pieces.append(json.dumps(connections[at : at + SLICE])[1:-1].encode())
        await asyncio.sleep(0)
    head, tail = json.dumps({**found, "connections": []}).encode().split(b"[]")
    return b"".join([head, b"[", b", ".join(pieces), b"]", tail])


def _query(given: Mapping[str, str]) -> ConnectionQuery:
    """Raises Refusal, which names the parameter that is wrong."""
    address, limit, order = (
        given.get("address", ""),
        given.get("limit", str(DEFAULT_LIMIT)),
        given.get("order", "longest"),
    )
    if address:
        try:
            ip_network(address, strict=False)
        except ValueError:
            raise web.Refusal(400, "address: not an IP address, and not a network\n") from None
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 6 and 1 <= int(limit) <= MAX_LIMIT):
        raise web.Refusal(400, f"limit: not a number from 1 to {MAX_LIMIT}\n")
    if order not in ("longest", "newest"):
        raise web.Refusal(400, "order: not longest or newest\n")
    pool, backend, user = (given.get(name, "") for name in ("pool", "backend", "user"))
    return ConnectionQuery(pool, backend, user, address, int(limit), order == "newest")
