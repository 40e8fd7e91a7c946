"""How much the operational log says, over the admin interface.

    GET    /log-level    as it is
    POST   /log-level    ?level=debug|info|warning|error, and ?seconds= for how long
    DELETE /log-level    back to info

The answer is a `LogView` as JSON; else 400, and one sentence.
"""

from __future__ import annotations

from lbproxy.control.admin import web
from lbproxy.control.admin.peer import peer
from lbproxy.control.log import LEVELS
from lbproxy.control.log.level import LogLevel

LONGEST = 7 * 86400.0
"""Seconds."""


def log_level_routes(level: LogLevel) -> list[web.Route]:
    """The routes above; all is called on the event loop."""

    async def show(_: web.Request) -> web.Response:
        return web.json_response(level.view)

    async def change(request: web.Request) -> web.Response:
        wanted = request.query.get("level", "")
        if wanted not in LEVELS:
            return web.Response(status=400, text=f"level: one of {', '.join(LEVELS)}\n")
        try:
            seconds = _seconds(request.query.get("seconds"))
        except ValueError:
            return web.Response(status=400, text="seconds: a number above 0, of a week at most\n")
        level.set(wanted, seconds, await peer(request))
        return web.json_response(level.view)

    async def end(_: web.Request) -> web.Response:
        level.end()
        return web.json_response(level.view)

    return [web.get("/log-level", show), web.post("/log-level", change), web.delete("/log-level", end)]


def _seconds(text: str | None) -> float | None:
    """ValueError if it is no time that a level may be kept."""
    if text is None:
        return None
    seconds = float(text)
    if not 0 < seconds <= LONGEST:
        raise ValueError(text)
    return seconds
