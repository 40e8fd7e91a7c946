"""What the balancer itself has to say: one line an event, on standard error, as logfmt; or to syslog or the journal.

    2026-11-21T07:40:00.123Z WARNING backend_ejected pool=connectors backend=c2 reason=connect_refused

An event is a logger's message that is a name, with its fields as `extra={"fields": {...}}`, which is what `event`
does; code that may not import this module passes them itself. A message that is a sentence (asyncio's) comes
out as `message="..."` of an event named after its logger. Whatever a peer put into a field stays within its line.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping

from lbproxy.control.log.datagrams import DatagramWriter, receiver
from lbproxy.control.log.frames import Entry, frame
from lbproxy.control.log.line_writer import LineWriter
from lbproxy.control.log.queued_writer import LIMIT, QueuedWriter
from lbproxy.control.log.timestamp import timestamp

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_BARE = re.compile(r"[!#-<>-\[\]-~]+")  # visible ASCII but " = and backslash


def event(logger: logging.Logger, level: int, name: str, /, **fields: object) -> None:
    """Log the event `name` (snake_case) with its fields."""
    logger.log(level, name, extra={"fields": fields})


def announce(text: str) -> None:
    """Write `text`, a line for a person or a script that waits for it, on standard error at once.

    In one write: other processes write there too, and `print` makes two where Python is told not to buffer, between
    which a line of theirs would come.
    """
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def set_level(level: str) -> None:
    """Log events of that level and above, in this process. A level of a later version changes nothing."""
    if level in LEVELS:
        logging.getLogger().setLevel(LEVELS[level])


STANDARD_ERROR = "stderr"


def setup(descriptor: int = 2, level: int = logging.INFO, to: str = STANDARD_ERROR) -> LogHandler:
    """Send every logger of this process to `descriptor`, or elsewhere: see `datagrams.receiver`.

    Call it after a fork; `close` the result at the end.
    """
    handler = LineHandler(descriptor) if to == STANDARD_ERROR else DatagramHandler(to)
    handler.to = to
    root = logging.getLogger()
    root.setLevel(level)
    root.handlers[:] = [handler]
    return handler


def redirect(to: str) -> None:
    """Send the lines of this process to somewhere else from now on, if they do not go there already. Waits for none."""
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, LogHandler) and one.to != to]:
        others = [one for one in root.handlers if one is not handler]
        root.handlers[:] = [setup(level=root.level, to=to), *others]
        handler.writer.close(timeout=0.0)  # what is queued is still written


def finish() -> None:
    """Close what `setup` has made, at the end of the process."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogHandler):
            handler.close()


def counted() -> tuple[int, int]:
    """Lines of this process that were written, and that were lost."""
    handlers = [one for one in logging.getLogger().handlers if isinstance(one, LogHandler)]
    return sum(one.writer.written for one in handlers), sum(one.writer.lost for one in handlers)


class LogHandler(logging.Handler):
    """Formats where the event happens and writes in a thread, so that no request waits for what takes the lines."""

    writer: QueuedWriter
    to = STANDARD_ERROR

    def __init__(self) -> None:
        super().__init__()
        self._told = 0  # how many of the dropped lines have been told about

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one entry; called under the handler's lock."""
        dropped = self.writer.dropped
        try:
            entry = self._entry(record, dropped - self._told)
        except Exception:  # as every handler does: a bad message is told about, not raised into the code that logs
            self.handleError(record)
            return
        self.writer.put(entry)
        if self.writer.dropped == dropped:
            self._told = dropped

    def _entry(self, record: logging.LogRecord, lost: int) -> str | bytes:
        """What is written of it; `lost` lines were dropped since the one before."""
        raise NotImplementedError

    def flush(self) -> None:
        """Write what is queued, waiting for what takes it for a moment only."""
        self.writer.flush()

    def close(self) -> None:
        """The same, and end."""
        super().close()
        self.writer.close()


class LineHandler(LogHandler):
    """To a descriptor."""

    def __init__(self, descriptor: int, limit: int = LIMIT) -> None:
        super().__init__()
        self.setFormatter(LineFormatter(is_journal(descriptor)))
        self.writer = LineWriter(descriptor, name="log", limit=limit)

    def _entry(self, record: logging.LogRecord, lost: int) -> str:
        return f"{self.format(record)}{f' lines_dropped={lost}' if lost else ''}\n"


class DatagramHandler(LogHandler):
    """To syslog or the journal. That lines are lost is said on standard error."""

    def __init__(self, to: str, limit: int = LIMIT) -> None:
        super().__init__()
        self._receiver = receiver(to)
        self._format = LineFormatter()
        self.writer = DatagramWriter(to, name="log", say_lost=True, limit=limit)

    def _entry(self, record: logging.LogRecord, lost: int) -> bytes:
        name, fields = self._format.parts(record)
        if lost:
            fields = {**fields, "lines_dropped": lost}
        entry = Entry("lbproxy", _priority(record.levelno), record.created, name, f"{name}{pairs(fields)}", fields)
        return frame(entry, self._receiver)


def is_journal(descriptor: int) -> bool:
    """Whether the descriptor is a stream to systemd's journal (systemd.exec(5): JOURNAL_STREAM)."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


class LineFormatter(logging.Formatter):
    """A record as one line of printable ASCII: time (RFC 3339, UTC), level, event, key=value.

    for_journal: with the priority in front, as <6>, which the journal takes off (sd-daemon(3)).
    """

    def __init__(self, for_journal: bool = False) -> None:
        super().__init__()
        self._for_journal = for_journal

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        name, fields = self.parts(record)
        priority = f"<{_priority(record.levelno)}>" if self._for_journal else ""
        return f"{priority}{timestamp(record.created)} {record.levelname} {name}{pairs(fields)}"

    def parts(self, record: logging.LogRecord) -> tuple[str, Mapping[str, object]]:
        """The event's name, and its fields."""
        message = record.getMessage()
        fields: Mapping[str, object] = getattr(record, "fields", {})
        if _NAME.fullmatch(message):
            name = message
        else:
            name, fields = record.name, {**fields, "message": message}
        if record.exc_info:
            fields = {**fields, "traceback": self.formatException(record.exc_info)}
        return name, fields


def pairs(fields: Mapping[str, object]) -> str:
    """Fields as they stand behind the name; None is none."""
    return "".join(f" {key}={_value(value)}" for key, value in fields.items() if value is not None)


def _priority(level: int) -> int:
    """Of syslog(3): 2 critical, 3 error, 4 warning, 6 information, 7 debugging."""
    return next(priority for least, priority in _PRIORITIES if level >= least)


def _value(value: object) -> str:
    """A value as it is if nothing in it can be taken for something else, or as a JSON string in ASCII."""
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    if _BARE.fullmatch(text):
        return text
    return json.dumps(text).replace("\x7f", "\\u007f")
