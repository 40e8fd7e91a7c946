"""A worker, as the supervisor knows it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from lbproxy.process.ipc.async_channel import AsyncChannel
from lbproxy.process.ipc.worker_messages import BackendsCounted, Counted, FromWorker, ToWorker
from lbproxy.record import Exemplar
from lbproxy.status.counters import Counters


class WorkerHandle:
    """Its process and line, what it has counted, and how it is: it could accept, has no clients, is gone.

    `silent` is how many looks ago it has said something. Looks are counted, and not seconds, because after a stop of
    this process whatever workers have said meanwhile is still to be heard. `answered` is the number of the last
    question about its counts that it has answered.
    """

    def __init__(self, pid: int, line: AsyncChannel[ToWorker, FromWorker]) -> None:
        self.pid = pid
        self.line = line
        self.silent = self.answered = 0
        self.up = self.empty = self.gone = False
        self.process: Counters = {}  # what it has counted, but for its backends
        self.exemplars: dict[str, list[Exemplar]] = {}  # by POOL/NAME
        self._backends: dict[str, Counters] = {}  # by POOL/NAME

    def __repr__(self) -> str:
        return f"<worker {self.pid}{', gone' if self.gone else ''}>"

    @property
    def counters(self) -> Counters:
        """All that it has counted."""
        return {**self.process, "backends": self._backends}

    def backends_counted(self, some: BackendsCounted) -> None:
        """A part of its report."""
        self._backends.update(some.backends)
        self.exemplars.update(some.exemplars)
        for name in some.gone:
            self._backends.pop(name, None)
            self.exemplars.pop(name, None)

    def has_counted(self, counted: Counted) -> None:
        """The end of its report."""
        self.process, self.answered = counted.tally, counted.answers

    def kill(self) -> None:
        """End its process now."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
