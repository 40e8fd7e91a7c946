"""Lines on their way out, through one thread, so that no caller ever waits for what takes them.

The queue is bounded. What does not fit is dropped and counted; it is never waited for. The access log and the
operational log stand on this, whether they go to a file, a pipe or a socket.
"""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable

from lbproxy.control.background import start_thread

LIMIT = 8 * 1024 * 1024  # bytes in the queue: seconds of a stalled disk at full load


class QueuedWriter(ABC):
    """Belongs to one process: threads do not survive a fork.

    `written`, `dropped` and `failed` count lines: `dropped` found the queue full, `failed` were refused by what takes
    them, and `error` is the last refusal. Each counter is changed by one thread only, so none needs a lock.
    """

    def __init__(self, name: str, limit: int = LIMIT) -> None:
        """A subclass has what `_write` needs before it calls this: the thread starts here."""
        self.written = self.dropped = self.failed = 0
        self.error: OSError | None = None
        self._limit = limit
        self._queued = self._done = 0  # characters ever put by callers, and ever taken off by the thread
        self._queue: queue.SimpleQueue[str | bytes | Callable[[], object] | None] = queue.SimpleQueue()
        self._thread = start_thread(self._run, name)

    @property
    def lost(self) -> int:
        """Lines that nobody will ever see."""
        return self.dropped + self.failed

    def put(self, text: str | bytes, lines: int = 1) -> None:
        """Queue `text`, which is `lines` whole lines. Calls must come from one thread at a time."""
        if self._queued - self._done + len(text) > self._limit:
            self.dropped += lines
            return
        self._queued += len(text)
        self._queue.put(text)

    def flush(self, timeout: float = 2.0) -> None:
        """Return once what was put before is written; after `timeout` seconds all the same."""
        if self._thread.is_alive():
            written = threading.Event()
            self._queue.put(written.set)
            written.wait(timeout)

    def close(self, timeout: float = 2.0) -> None:
        """Write what is queued and end; after `timeout` seconds leave it, as it may never be taken."""
        self._queue.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            if callable(item):
                item()
            else:
                self._write(item)
                self._done += len(item)
        self._release()

    @abstractmethod
    def _write(self, text: str | bytes) -> None:
        """Write what was put, in the thread; may wait."""

    @abstractmethod
    def _release(self) -> None:
        """At the end, in the thread."""
