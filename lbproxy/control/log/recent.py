"""The last events of the log, kept for those who ask: the admin API, and through it the dashboard."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import TypedDict

from lbproxy.control.log.logged_event import KEPT, LoggedEvent, logged_event


class EventView(TypedDict):
    """A line of the log: its number, when (seconds since the epoch), its level, its name, and its fields as text.

    process: which one logged it; empty: unknown.
    """

    number: int
    at: float
    level: str
    name: str
    fields: dict[str, str]
    process: str


class EventsView(TypedDict):
    """Some events, the oldest first, and the number of the last one that there was; 0: there was none."""

    last: int
    events: list[EventView]


class RecentEvents(logging.Handler):
    """Keeps the last `KEPT` events, of this process and of those that tell it of theirs.

    `process` is the name of this one. `pass_on` gets them too, once another process keeps them as well.
    """

    def __init__(self, before: EventsView | None = None, process: str = "") -> None:
        """before: those of the generation before this one."""
        super().__init__()
        known: Iterable[EventView] = before["events"] if before else ()
        self._kept = deque((_with_process(one) for one in known), maxlen=KEPT)
        self._last = before["last"] if before else 0
        self.process = process
        self.pass_on: Callable[[Iterable[LoggedEvent]], object] = lambda _: None
        self.waiting: set[asyncio.Future[None]] = set()
        self._closed = False

    def __repr__(self) -> str:
        return f"<the last {len(self._kept)} of {self._last} events>"

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one; called under the handler's lock, in any thread."""
        self.put([logged_event(record, self.process)])

    def put(self, events: Iterable[LoggedEvent], pass_on: bool = True) -> None:
        """The same of events that were logged elsewhere. Their numbers are in the order in which they come here."""
        assert self.lock is not None, "logging makes one"
        with self.lock:
            for one in events:
                self._last += 1
                self._kept.append(_view(self._last, one))
            if pass_on:
                self.pass_on(events)
            waiting = [*self.waiting]
        for future in waiting:
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


def _view(number: int, event: LoggedEvent) -> EventView:
    at, level, name, fields, process = event
    return {"number": number, "at": at, "level": level, "name": name, "fields": fields, "process": process}


def _with_process(event: EventView) -> EventView:
    """Those of a version that did not tell have none."""
    return {**event, "process": event.get("process", "")}


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
