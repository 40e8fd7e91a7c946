"""The last events of the log, kept for those who ask: the admin API, and through it the dashboard."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from typing import TypedDict

KEPT = 200
"""Events."""

_LONGEST = 500
"""Characters of a value: a traceback, or what a peer has sent, may be long."""


class EventView(TypedDict):
    """A line of the log: its number, when (seconds since the epoch), its level, its name, and its fields as text."""

    number: int
    at: float
    level: str
    name: str
    fields: dict[str, str]


class EventsView(TypedDict):
    """Some events, the oldest first, and the number of the last one that there was; 0: there was none."""

    last: int
    events: list[EventView]


class RecentEvents(logging.Handler):
    """Keeps the last `KEPT` events; `before` are those of the generation before this one."""

    def __init__(self, before: EventsView | None = None) -> None:
        super().__init__()
        self._kept: deque[EventView] = deque(before["events"] if before else (), maxlen=KEPT)
        self._last = before["last"] if before else 0
        self.waiting: set[asyncio.Future[None]] = set()
        self._closed = False

    def __repr__(self) -> str:
        return f"<the last {len(self._kept)} of {self._last} events>"

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one; called under the handler's lock, in any thread."""
        fields: Mapping[str, object] = getattr(record, "fields", {})
        message = record.getMessage()
        name = message if hasattr(record, "fields") else record.name
        shown = {key: str(value)[:_LONGEST] for key, value in fields.items() if value is not None}
        if name is not message:
            shown["message"] = message[:_LONGEST]
        self._last += 1
        self._kept.append(
            {"number": self._last, "at": record.created, "level": record.levelname, "name": name, "fields": shown}
        )
        for future in list(self.waiting):
            with suppress(RuntimeError):  # its loop has ended
                future.get_loop().call_soon_threadsafe(_wake, future)

    def view(self, after: int = 0) -> EventsView:
        """The events with a number above `after`; all, if `after` is of another process, whose numbers were higher."""
        assert self.lock is not None, "logging makes one"
        with self.lock:
            known = after if after <= self._last else 0
            newer = min(len(self._kept), self._last - known)
            return {"last": self._last, "events": list(islice(self._kept, len(self._kept) - newer, None))}

    async def wait(self, after: int, within: float) -> EventsView:
        """The same, as soon as there is one, or after `within` seconds."""
        found = self.view(after)
        if within <= 0 or found["events"] or self._closed:
            return found
        future = asyncio.get_running_loop().create_future()
        self.waiting.add(future)
        try:
            if self.view(after)["last"] == after:  # none came between the look and the waiting
                with suppress(TimeoutError):
                    async with asyncio.timeout(within):
                        await future
        finally:
            self.waiting.discard(future)
        return self.view(after)

    def stop(self) -> None:
        """Let nobody wait any more: another process has the next events."""
        self._closed = True
        for future in self.waiting:
            _wake(future)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
