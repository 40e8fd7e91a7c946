"""The pages, made of one look at the balancer; see templates/. What is in them is not the session's, but the role's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from lbproxy.control.live_connections import ConnectionsView
from lbproxy.control.snapshot import BackendView, PoolView, Snapshot
from lbproxy.dashboard import plot, words
from lbproxy.dashboard.balancer import Balancer
from lbproxy.dashboard.render import Render
from lbproxy.dashboard.sessions import Role
from lbproxy.dashboard.watcher import Seen
from lbproxy.errors import AdminError

SHOWN = 200
"""Backends of a pool, and connections, on one page."""

Fetch = Callable[[Balancer, Mapping[str, str]], Any]


class Page(NamedTuple):
    """A page that was asked for: its name, which is that of its template, and what of."""

    name: str
    title: str
    parts: tuple[str, ...] = ()
    query: tuple[tuple[str, str], ...] = ()


class Missing(Exception):
    """There is no such page, or no such backend any more."""


NAMES = {
    "": "The balancer",
    "connections": "Connections",
    "certificates": "Certificates",
    "rollouts": "Rollouts",
    "events": "Events",
}
"""Path -> title, in the order of the navigation."""

FILTERS = ("pool", "backend", "user", "address", "order")
"""What the connections may be asked for."""

_LONGEST = 200
"""Characters of a filter."""


def page_at(path: str, query: Mapping[str, str]) -> Page:
    """The page at a path without its first slash, not yet unquoted parts split. Raises Missing."""
    parts = path.split("/")
    match parts:
        case [name] if name in NAMES:
            kept = tuple((key, query[key][:_LONGEST]) for key in FILTERS if query.get(key))
            return Page(name or "overview", NAMES[name], query=kept if name == "connections" else ())
        case ["pools", pool] if pool:
            return Page("pool", f"Pool {pool}", (pool,))
        case ["pools", pool, name] if pool and name:
            return Page("backend", f"{name} of {pool}", (pool, name))
    raise Missing


class Pages:
    """Renders them. A page of one look is made once for each role, however many browsers show it."""

    def __init__(self, render: Render, balancer: Balancer) -> None:
        self._render = render
        self._balancer = balancer
        self._made: dict[tuple[Page, Role], str] = {}
        self._of = Seen(0.0)

    def __repr__(self) -> str:
        return f"<{len(self._made)} pages>"

    async def main(self, page: Page, role: Role, seen: Seen) -> str:
        """The part of a page that changes. Raises Missing."""
        if seen is not self._of:
            self._of = seen
            self._made.clear()
        made = self._made.get((page, role))
        if made is None:
            made = self._render(f"{page.name}.html", **await self._context(page, role, seen))
            if seen is self._of:
                self._made[page, role] = made
        return made

    async def _context(self, page: Page, role: Role, seen: Seen) -> dict[str, Any]:
        context: dict[str, Any] = {"seen": seen, "now": time.time(), "operator": role == "operator", "page": page}
        if seen.snapshot is None:
            return context
        match page.name:
            case "pool":
                context["pool"] = _pool(seen.snapshot, page.parts[0])
            case "backend":
                found = words.find(seen.snapshot, *page.parts)
                if found is None:
                    raise Missing
                context["pool"], context["backend"] = found
            case "connections":
                context |= await self._connections(page)
        return context

    async def _connections(self, page: Page) -> dict[str, Any]:
        try:
            return {"found": await self._balancer.connections(dict(page.query) | {"limit": str(SHOWN)}), "refused": ""}
        except AdminError as error:
            return {"found": NOTHING_FOUND, "refused": str(error)}


NOTHING_FOUND: ConnectionsView = {"open": 0, "handshakes": 0, "matched": 0, "unanswered": 0, "connections": []}


def _pool(snapshot: Snapshot, name: str) -> PoolView:
    for pool in snapshot["pools"]:
        if pool["name"] == name:
            return pool
    raise Missing


class Plots(NamedTuple):
    """The last hour of a backend, and the last minute until now."""

    requests: str
    errors: str
    latency: str


def plots(seen: Seen, pool: PoolView, backend: BackendView) -> Plots:
    """Of one backend."""
    before = (seen.history or {}).get(f"{pool['name']}/{backend['name']}")
    minute = backend["recent"]["minute"]
    answers = [*(before["answers"] if before else ()), minute["answers"]][-plot.MINUTES :]
    bad = [*(before["server_errors"] if before else ()), minute["server_errors"]][-plot.MINUTES :]
    p50 = [*(before["p50"] if before else ()), minute["p50"]][-plot.MINUTES :]
    p99 = [*(before["p99"] if before else ()), minute["p99"]][-plot.MINUTES :]
    return Plots(plot.requests(answers), plot.errors(answers, bad), plot.latency(p50, p99))


def link(*parts: str) -> str:
    """A path below the dashboard's own, of parts that may hold anything."""
    return "/".join(quote(part, safe="") for part in parts)
