"""The access log: one JSON object a request, written without ever waiting for the disk.

`write` is called once a request on the data path: it formats the line and appends it to a list. A batch goes to the
writer's thread every 50 ms, or as soon as it is large.
"""

from __future__ import annotations

import asyncio
import logging
import time

from lbproxy.control.access_log.access_line import line
from lbproxy.control.log import event
from lbproxy.control.log.datagrams import DatagramWriter, Receiver, receiver
from lbproxy.control.log.frames import Entry, frame
from lbproxy.control.log.line_writer import LineWriter
from lbproxy.control.log.queued_writer import LIMIT, QueuedWriter
from lbproxy.errors import StartError
from lbproxy.record import Record

log = logging.getLogger(__name__)

FLUSH_AFTER = 0.05  # seconds that a line waits for company
BATCH = 64  # lines that do not wait; more of them would push the data path out of the processor's cache
REPORT_EVERY = 60.0  # seconds between two reports of lost lines

_STANDARD_OUTPUT = 1
_INFORMATION = 6
"""A priority of syslog(3)."""


class AccessLog:
    """Writes records to `path`: a file, "-" for standard output, "" for nowhere. Belongs to one event loop.

    to: syslog or the journal in its place, see `datagrams.receiver`; "" is none. Lines are dropped, and counted, when
    more than `limit` bytes wait for what takes them, or when it refuses them. Raises StartError if the file cannot be
    opened.
    """

    def __init__(self, path: str, to: str = "", limit: int = LIMIT) -> None:
        self.path = to or path
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._reported = 0
        self._next_report = 0.0
        self._writer = _send(to, limit) if to else _open(path, limit)

    def __repr__(self) -> str:
        return f"<AccessLog {self.path or 'off'} written={self.written} dropped={self.dropped}>"

    @property
    def enabled(self) -> bool:
        """Whether it is worth making a record."""
        return self._writer is not None

    @property
    def written(self) -> int:
        """Lines that have reached the file."""
        return self._writer.written if self._writer else 0

    @property
    def dropped(self) -> int:
        """Lines that never will."""
        return self._writer.lost if self._writer else 0

    def write(self, record: Record) -> None:
        """Log one request. Takes less than a microsecond and never blocks; call it on the event loop."""
        if self._writer is None:
            return
        self._lines.append(line(record))
        if len(self._lines) >= BATCH:
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_AFTER, self._flush)

    def reopen(self) -> None:
        """Open the file again under its name, for log rotation; lines written before go to the old one."""
        if self._writer is not None:
            self._flush()
            if isinstance(self._writer, LineWriter):
                self._writer.reopen()

    def close(self) -> None:
        """Write what is left, waiting at most two seconds for a file or pipe that is stuck."""
        if self._writer is not None:
            self._flush()
            self._writer.close()
            self._report(self._writer)

    def _flush(self) -> None:
        assert self._writer is not None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            self._writer.put("".join(self._lines), len(self._lines))
            self._lines.clear()
        if self.dropped > self._reported and time.monotonic() >= self._next_report:
            self._report(self._writer)

    def _report(self, writer: QueuedWriter) -> None:
        lost = self.dropped - self._reported
        if lost:
            why = str(writer.error) if writer.failed else "what takes the lines is too slow"
            event(log, logging.ERROR, "access_log_lost_lines", path=self.path, lines=lost, error=why)
            self._reported += lost
            self._next_report = time.monotonic() + REPORT_EVERY


def _open(path: str, limit: int) -> LineWriter | None:
    if not path:
        return None
    try:
        return LineWriter(_STANDARD_OUTPUT if path == "-" else path, name="access-log", limit=limit)
    except OSError as error:
        raise StartError(f"access_log.path: cannot open {path}: {error.strerror}") from error


def _send(to: str, limit: int) -> DatagramWriter:
    there = receiver(to)
    return DatagramWriter(to, name="access-log", frame=lambda line: _frame(line, there), limit=limit)


def _frame(line: str, to: Receiver) -> bytes:
    return frame(Entry("lbproxy-access", _INFORMATION, time.time(), "access", line, {}), to)
