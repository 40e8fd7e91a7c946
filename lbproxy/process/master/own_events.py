"""The master's own log events, told to those who show events: the generation that serves, and the next one."""

from __future__ import annotations

import logging
from collections import deque
from typing import Protocol

from lbproxy.control.log.logged_event import KEPT, LoggedEvent, logged_event
from lbproxy.process.ipc.master_messages import Logged
from lbproxy.process.master.generation_handle import GenerationHandle

PROCESS = "master"


class Generations(Protocol):
    """Those of a master: `current` serves, `coming` will."""

    current: GenerationHandle | None
    coming: GenerationHandle | None


class OwnEvents(logging.Handler):
    """A generation that is too far behind misses some: the log has them all."""

    def __init__(self, generations: Generations) -> None:
        super().__init__()
        self._generations = generations
        self._since: deque[LoggedEvent] = deque(maxlen=KEPT)  # the serving generation was asked for what it knows

    def __repr__(self) -> str:
        return f"<{len(self._since)} events since the last export>"

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of one."""
        event = logged_event(record, PROCESS)
        self._since.append(event)
        current, coming = self._generations.current, self._generations.coming
        if current is not None:
            _tell(current, [event])
        if coming is not None and coming.provided:
            _tell(coming, [event])

    def exported(self) -> None:
        """What was until now is in what the serving generation leaves to the next one."""
        self._since.clear()

    def catch_up(self, coming: GenerationHandle) -> None:
        """Tell it of what that does not have: it has just been told to start."""
        if self._since:
            _tell(coming, [*self._since])


def _tell(handle: GenerationHandle, events: list[LoggedEvent]) -> None:
    if handle.channel.backlog < KEPT:
        handle.send(Logged(events))
