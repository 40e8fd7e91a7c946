"""Lines on their way to a file or a pipe, through one thread, so that no caller ever waits for either.

The queue is bounded in bytes. What does not fit, and what the disk refuses, is dropped and counted; it is never
waited for. Both the access log and the operational log stand on this.
"""

from __future__ import annotations

import logging
import os
import queue
import select
import stat
import threading
from enum import Enum, auto
from pathlib import Path

from lbproxy.control.background import start_thread

log = logging.getLogger(__name__)

LIMIT = 8 * 1024 * 1024  # bytes in the queue: seconds of a stalled disk at full load
_FLAGS = os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class _Order(Enum):
    """What the thread is told beside the text that it writes."""

    REOPEN = auto()
    END = auto()


class LineWriter:
    """Writes ASCII lines to `target`: a path, opened now for appending (mode 0640), or an open descriptor, kept open.

    Raises OSError if the file cannot be opened. Threads do not survive a fork: make it in the process that writes.

    `written`, `dropped` and `failed` count lines: `dropped` found the queue full, `failed` were refused by the
    disk, and `error` is the last refusal. Each counter is changed by one thread only, so none needs a lock.
    """

    def __init__(self, target: str | int, *, name: str, limit: int = LIMIT) -> None:
        self.written = self.dropped = self.failed = 0
        self.error: OSError | None = None
        self._path = target if isinstance(target, str) else None
        self._fd = target if isinstance(target, int) else _open(target)
        self._is_pipe = _is_pipe(self._fd)
        self._limit = limit
        self._queued = self._done = 0  # characters ever put by callers, and ever taken off by the thread
        self._torn = False  # the last byte written was not the end of a line
        self._queue: queue.SimpleQueue[str | _Order | threading.Event] = queue.SimpleQueue()
        self._thread = start_thread(self._run, name)

    def __repr__(self) -> str:
        where = self._path or f"fd {self._fd}"
        return f"<LineWriter {where} written={self.written} dropped={self.dropped} failed={self.failed}>"

    def put(self, text: str, lines: int = 1) -> None:
        """Queue `text`, which is `lines` whole lines. Calls must come from one thread at a time."""
        if self._queued - self._done + len(text) > self._limit:
            self.dropped += lines
            return
        self._queued += len(text)
        self._queue.put(text)

    def reopen(self) -> None:
        """Open the path again, after what was put before (log rotation). A descriptor is left as it is."""
        if self._path is not None:
            self._queue.put(_Order.REOPEN)

    def flush(self, timeout: float = 2.0) -> None:
        """Return once what was put before is written; after `timeout` seconds all the same."""
        if self._thread.is_alive():
            written = threading.Event()
            self._queue.put(written)
            written.wait(timeout)

    def close(self, timeout: float = 2.0) -> None:
        """Write what is queued and end; after `timeout` seconds leave it, as a blocked pipe may never take it."""
        self._queue.put(_Order.END)
        self._thread.join(timeout)

    def _run(self) -> None:
        while (item := self._queue.get()) is not _Order.END:
            if item is _Order.REOPEN:
                self._open_again()
            elif isinstance(item, threading.Event):
                item.set()
            else:
                self._write(item)
                self._done += len(item)
        if self._path is not None:
            os.close(self._fd)

    def _write(self, text: str) -> None:
        # After a refusal part of a line may be on the disk; the next one must not be glued to it.
        data = (b"\n" if self._torn else b"") + text.encode("ascii", "backslashreplace")
        sent = 0
        try:
            while sent < len(data):
                sent += os.write(self._fd, self._piece(data, sent))
        except OSError as error:
            self.error = error
        if sent:
            self.written += data.count(b"\n", self._torn, sent)
            self.failed += data.count(b"\n", sent)
            self._torn = data[sent - 1] != ord("\n")
        else:
            self.failed += text.count("\n")

    def _piece(self, data: bytes, start: int) -> bytes:
        """What to write at once of `data` from `start` on.

        All of it, but for a pipe whole lines of at most PIPE_BUF bytes: of more, it may take a part, and then something
        that another process writes (pipe(7)).
        """
        if self._is_pipe:
            end = data.rfind(b"\n", start, start + select.PIPE_BUF) + 1
            return data[start : end or start + select.PIPE_BUF]
        return data[start:] if start else data

    def _open_again(self) -> None:
        assert self._path is not None
        try:
            fd = _open(self._path)
        except OSError as error:  # better the old file than none
            log.error("reopen_failed", extra={"fields": {"path": self._path, "error": error}})
            return
        os.close(self._fd)
        self._fd, self._is_pipe, self._torn = fd, _is_pipe(fd), False


def _open(path: str) -> int:
    # Opened for writing alone, a named pipe would wait for its reader; it may wait in the thread only (fifo(7)).
    mode = os.O_RDWR if Path(path).is_fifo() else os.O_WRONLY
    return os.open(path, mode | _FLAGS, 0o640)


def _is_pipe(fd: int) -> bool:
    return stat.S_ISFIFO(os.fstat(fd).st_mode)
