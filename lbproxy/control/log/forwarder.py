"""Tells another process what this one logs, without ever waiting for it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from lbproxy.control.log.logged_event import KEPT, LoggedEvent, logged_event


class EventForwarder(logging.Handler):
    """Sends events together, once in `every` seconds. While they wait the last `KEPT` are kept: the log has them all.

    Belongs to the running loop; events may be of any thread.
    """

    def __init__(self, process: str, every: float, send: Callable[[list[LoggedEvent]], bool]) -> None:
        """process: the name of this one. send: sends some, or says that it cannot now."""
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._process = process
        self._every = every
        self._send = send
        self._waiting: deque[LoggedEvent] = deque(maxlen=KEPT)
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<forwarder of {self._process}, {len(self._waiting)} events wait>"

    def emit(self, record: logging.LogRecord) -> None:
        """Send one later; called under the handler's lock, in any thread."""
        self.put([logged_event(record, self._process)])

    def put(self, events: Iterable[LoggedEvent]) -> None:
        """The same of events of other processes."""
        assert self.lock is not None, "logging makes one"
        with self.lock:
            begins = not self._waiting
            self._waiting.extend(events)
        if begins:
            with suppress(RuntimeError):  # its loop has ended
                self._loop.call_soon_threadsafe(self._later)

    def tell(self) -> None:
        """Send what waits now, if it can be sent."""
        assert self.lock is not None, "logging makes one"
        with self.lock:
            if self._waiting and self._send([*self._waiting]):
                self._waiting.clear()

    def take(self) -> list[LoggedEvent]:
        """What waits, which is not sent any more: the caller does it."""
        assert self.lock is not None, "logging makes one"
        with self.lock:
            events = [*self._waiting]
            self._waiting.clear()
        return events

    def stop(self) -> None:
        """Send what waits, and no more."""
        self.tell()
        if self._timer is not None:
            self._timer.cancel()

    def _later(self) -> None:
        self._timer = self._loop.call_later(self._every, self._tell_in_time)

    def _tell_in_time(self) -> None:
        self.tell()
        if self._waiting:
            self._later()
