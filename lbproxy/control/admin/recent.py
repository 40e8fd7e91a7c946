"""What happened lately, over the admin interface.

    GET /events     the last events of the log; ?after=NUMBER ?wait=SECONDS
    GET /history    the last hour of backends, one reading a minute; ?pool= ?backend=

The answers are an `EventsView` and a `HistoryView`; else 400, and one sentence. With `wait`, /events is answered as
soon as there is an event after `after`, and after so many seconds at the latest.
"""

from __future__ import annotations

from typing import Protocol, TypedDict

from lbproxy.control.admin import web
from lbproxy.control.log.recent import EventsView

LONGEST_WAIT = 60.0
"""Seconds."""


class BackendHistory(TypedDict):
    """Readings of one backend, the oldest first: answers and 5xx of a minute each, and its percentiles in seconds."""

    answers: list[int]
    server_errors: list[int]
    p50: list[float | None]
    p99: list[float | None]


class HistoryView(TypedDict):
    """By POOL/NAME; a reading is of the `every_seconds` before it."""

    every_seconds: float
    backends: dict[str, BackendHistory]


class Recent(Protocol):
    """What has both."""

    async def events_after(self, number: int, within: float) -> EventsView:
        """The events after that number, as soon as there is one, or after `within` seconds."""
        ...

    def last_hour(self, pool: str = "", backend: str = "") -> HistoryView:
        """That of the backends of `pool`, and of those called `backend`; empty: of all."""
        ...


def recent_routes(recent: Recent) -> list[web.Route]:
    """The routes above."""

    async def find_events(request: web.Request) -> web.Response:
        after = _number("after", request.query.get("after", "0"), 1e15)
        wait = _number("wait", request.query.get("wait", "0"), LONGEST_WAIT)
        return web.json_response(await recent.events_after(int(after), wait))

    async def find_history(request: web.Request) -> web.Response:
        return web.json_response(recent.last_hour(request.query.get("pool", ""), request.query.get("backend", "")))

    return [web.get("/events", find_events), web.get("/history", find_history)]


def _number(name: str, text: str, highest: float) -> float:
    """Raises Refusal, which names the parameter that is wrong."""
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and int(text) <= highest):
        raise web.Refusal(400, f"{name}: not a whole number from 0 to {highest:.0f}\n")
    return float(text)
