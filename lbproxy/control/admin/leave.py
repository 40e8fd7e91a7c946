"""This host leaves its virtual addresses to others.

    GET    /leave     how far it is
    POST   /leave     begin; ?timeout=SECONDS instead of leave_timeout
    DELETE /leave     take it back
    POST   /health    200: serve here, or 503, and a sentence; for the program that moves the addresses

The first three answer with a `LeaveView` as JSON. /health is as /readyz, but its client is about to act upon the
answer: see `Leaves.asked`. So it is a POST. What cannot be taken back any more is answered with 409 and a sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from lbproxy.control.admin import web
from lbproxy.control.admin.peer import peer
from lbproxy.control.admin.readiness import readiness
from lbproxy.control.snapshot import LeaveView, Snapshot


class Leaves(Protocol):
    """Whoever can do it."""

    def view(self) -> LeaveView:
        """How far it is."""
        ...

    def leave(self, within: float | None, by: str) -> LeaveView:
        """Begin; within: seconds, None: as the configuration says. by: who orders it."""
        ...

    def cancel(self, by: str) -> LeaveView:
        """Take it back. AdminError says why not."""
        ...

    def asked(self) -> None:
        """Who moves the addresses is about to hear how it is."""
        ...


def leave_routes(leaves: Leaves, snapshot: Callable[[], Snapshot]) -> list[web.Route]:
    """The routes above; all is called on the event loop."""

    async def show(_: web.Request) -> web.Response:
        return web.json_response(leaves.view())

    async def leave(request: web.Request) -> web.Response:
        timeout = _seconds(request.query.get("timeout"))
        return web.json_response(leaves.leave(timeout, await peer(request)))

    async def cancel(request: web.Request) -> web.Response:
        return web.json_response(leaves.cancel(await peer(request)))

    async def health(_: web.Request) -> web.Response:
        leaves.asked()
        ready, sentence = readiness(snapshot())
        return web.Response(status=200 if ready else 503, text=f"{sentence}\n")

    return [
        web.get("/leave", show),
        web.post("/leave", leave),
        web.delete("/leave", cancel),
        web.post("/health", health),
    ]


def _seconds(text: str | None) -> float | None:
    """Raises Refusal if it is none that can be waited for."""
    if text is None:
        return None
    with suppress(ValueError):
        if 0 <= (seconds := float(text)) <= 86400:
            return seconds
    raise web.Refusal(400, "timeout: not a number of seconds\n")
