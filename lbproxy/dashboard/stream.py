"""What is new, for a page that is open: server-sent events (HTML, section 9.2).

    page    the part of the page that changes, whole
    said    what is not in rotation, in a sentence, when that has changed
    over    the session has ended, and why

Nothing is queued: a browser that is slow, or never reads, misses what came in between, and is cut off in the end.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from lbproxy.control import tasks
from lbproxy.dashboard.pages import Missing, Page, Pages
from lbproxy.dashboard.sessions import Session, Sessions
from lbproxy.dashboard.watcher import Watcher
from lbproxy.dashboard.words import summary

MOST = 200
"""Streams at a time."""

MOST_OF_ONE = 40
"""Of one user: browsers open six at most over HTTP/1.1, each."""

SEND_WITHIN = 15.0
"""Seconds for a browser to take what was sent."""

_LOOK_EVERY = 5.0
"""Seconds after which it is looked whether the session goes on, if nothing is new."""


_ENDED = "Your session has ended."


class Streams:
    """All that are open."""

    def __init__(self, watcher: Watcher, pages: Pages, sessions: Sessions) -> None:
        self._watcher = watcher
        self._pages = pages
        self._sessions = sessions
        self._open: dict[asyncio.Task[object], Session] = {}

    def __repr__(self) -> str:
        return f"<{len(self._open)} streams>"

    def __len__(self) -> int:
        return len(self._open)

    async def serve(self, request: web.Request, page: Page, session: Session) -> web.StreamResponse:
        """Until the browser goes, or the session ends."""
        of_one = sum((one.how, one.user) == (session.how, session.user) for one in self._open.values())
        if len(self._open) >= MOST or of_one >= MOST_OF_ONE:
            raise web.HTTPServiceUnavailable(text="There are too many open pages.\n", headers={"Retry-After": "30"})
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = session
        try:
            return await self._serve(request, page, session)
        finally:
            del self._open[task]

    async def refuse(self, request: web.Request) -> web.StreamResponse:
        """A browser whose session has ended is told so: with another status it would try again for ever."""
        response = EventSourceResponse(send_timeout=SEND_WITHIN)
        await response.prepare(request)
        with suppress(ConnectionError, TimeoutError):
            async with response:
                await response.send(_ENDED, event="over")
        return response

    async def close(self) -> None:
        """End them; browsers try again."""
        await tasks.stop(*self._open)

    async def _serve(self, request: web.Request, page: Page, session: Session) -> web.StreamResponse:
        response = EventSourceResponse(send_timeout=SEND_WITHIN)
        await response.prepare(request)
        with suppress(ConnectionError, TimeoutError):
            async with response:
                with self._watcher.follow():
                    await self._send(request, response, page, session)
        return response

    async def _send(self, request: web.Request, response: EventSourceResponse, page: Page, session: Session) -> None:
        version, sent, said = 0, "", ""
        while response.is_connected() and request.transport is not None:
            if not self._sessions.lasts(session):
                await response.send(_ENDED, event="over")
                return
            try:
                async with asyncio.timeout(_LOOK_EVERY):
                    version = await self._watcher.changed(version)
            except TimeoutError:
                continue
            seen = self._watcher.seen
            try:
                main = await self._pages.main(page, session.role, seen)
            except Missing:
                await response.send("What this page shows is no longer there.", event="over")
                return
            if main != sent:
                await response.send(main, event="page")
                sent = main
            words = seen.error or (summary(seen.snapshot) if seen.snapshot else "")
            if words != said:
                if said:  # what it was when the page was opened is on the page
                    await response.send(words, event="said")
                said = words
