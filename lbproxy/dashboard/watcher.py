"""What the balancer says, looked at for all browsers together: nobody looks while no page is open.

An event of the balancer's log ends the wait for the next look, so that a backend that dies is seen at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from lbproxy.control import tasks
from lbproxy.control.admin.recent import BackendHistory
from lbproxy.control.changes import Changes
from lbproxy.control.log.logged_event import KEPT
from lbproxy.control.log.recent import EventView
from lbproxy.control.snapshot import Snapshot
from lbproxy.dashboard.balancer import Balancer
from lbproxy.errors import AdminError

FRESH = 0.1
"""Seconds for which what was seen is shown to others too."""

_EVERY = 1
"""Seconds between two looks, without an event."""

_PART = 5.0
"""A look that takes long, in a large pool, is followed by a pause of so many times that."""

_HISTORY_EVERY = 30.0
"""Seconds; there is a new reading a minute."""


class Seen(NamedTuple):
    """One look. at: seconds since the epoch. error: why the balancer did not answer; then the rest is what was before.

    snapshot is None before the first answer.
    """

    at: float
    snapshot: Snapshot | None = None
    events: tuple[EventView, ...] = ()
    history: dict[str, BackendHistory] | None = None
    error: str = ""


class Watcher:
    """Looks at one balancer."""

    def __init__(self, balancer: Balancer) -> None:
        self.seen = Seen(0.0)
        self.version = 0
        self.watching = 0
        self._balancer = balancer
        self._looking = asyncio.Lock()
        self._last_event = 0
        self._looked = self._history_at = float("-inf")
        self._changes = Changes()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<watcher of {self._balancer!r}, {self.watching} watching>"

    async def look(self) -> Seen:
        """What there is now."""
        async with self._looking:
            if time.monotonic() > self._looked + FRESH:
                await self._look()
        return self.seen

    @contextmanager
    def follow(self) -> Iterator[None]:
        """While in it, `changed` returns whenever there is something new."""
        self.watching += 1
        if self._task is None or self._task.done():
            self._task = tasks.start(self._keep_looking(), name="dashboard")
        try:
            yield
        finally:
            self.watching -= 1

    async def changed(self, since: int) -> int:
        """Wait until there is a newer version than `since`: which one. One that is slow misses those in between."""
        await self._changes.until(lambda: self.version > since)
        return self.version

    async def close(self) -> None:
        """Look no more."""
        await tasks.stop(self._task)

    async def _keep_looking(self) -> None:
        while self.watching:
            began = time.monotonic()
            async with self._looking:
                await self._look()
            await asyncio.sleep(max(FRESH, _PART * (time.monotonic() - began)))
            await self._event()

    async def _event(self) -> None:
        """Wait for the next one, for a while."""
        try:
            await self._balancer.events(self._last_event, _EVERY)
        except AdminError:
            await asyncio.sleep(_EVERY)

    async def _look(self) -> None:
        try:
            snapshot = await self._balancer.status()
            newer = await self._balancer.events(self._last_event)
            history = self.seen.history
            if history is None or time.monotonic() > self._history_at + _HISTORY_EVERY:
                history = (await self._balancer.history())["backends"]
                self._history_at = time.monotonic()
        except AdminError as error:
            self.seen = self.seen._replace(at=time.time(), error=str(error))
        else:
            kept = self.seen.events if newer["last"] >= self._last_event else ()
            events = {one["number"]: one for one in (*kept, *newer["events"])}
            self._last_event = newer["last"]
            self.seen = Seen(time.time(), snapshot, tuple(events.values())[-KEPT:], history)
        self._looked = time.monotonic()
        self.version += 1
        self._changes.tell()
