"""What the balancer itself has to say: one line an event, on standard error, as logfmt.

    2026-11-21T07:40:00.123Z WARNING backend_ejected pool=connectors backend=c2 reason=connect_refused

An event is a logger's message that is a name, with its fields as `extra={"fields": {...}}`, which is what `event`
does; code that may not import this module passes them itself. A message that is a sentence (asyncio's, aiohttp's) comes
out as `message="..."` of an event named after its logger. Whatever a peer put into a field stays within its line.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping

from lbproxy.control.log.line_writer import LIMIT, LineWriter
from lbproxy.control.log.timestamp import timestamp

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


def setup(descriptor: int = 2, level: int = logging.INFO) -> LineHandler:
    """Send every logger of this process to `descriptor`. Call it after a fork; `close` the result at the end."""
    handler = LineHandler(descriptor)
    root = logging.getLogger()
    root.setLevel(level)
    root.handlers[:] = [handler]
    return handler


class LineHandler(logging.Handler):
    """Formats where the event happens and writes in a thread, so that a blocked descriptor blocks no request."""

    def __init__(self, descriptor: int, limit: int = LIMIT) -> None:
        super().__init__()
        self.setFormatter(LineFormatter())
        self._writer = LineWriter(descriptor, name="log", limit=limit)
        self._told = 0  # how many of the dropped lines have been told about

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one line; called under the handler's lock."""
        try:
            line = self.format(record)
        except Exception:  # as every handler does: a bad message is told about, not raised into the code that logs
            self.handleError(record)
            return
        dropped = self._writer.dropped
        lost = f" lines_dropped={dropped - self._told}" if dropped > self._told else ""
        self._writer.put(f"{line}{lost}\n")
        if self._writer.dropped == dropped:
            self._told = dropped

    def flush(self) -> None:
        """Write what is queued, waiting for a blocked descriptor for a moment only."""
        self._writer.flush()

    def close(self) -> None:
        """The same, and end."""
        super().close()
        self._writer.close()


class LineFormatter(logging.Formatter):
    """A record as one line of printable ASCII: time (RFC 3339, UTC), level, event, key=value."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        message = record.getMessage()
        fields: Mapping[str, object] = getattr(record, "fields", {})
        if _NAME.fullmatch(message):
            name = message
        else:
            name, fields = record.name, {**fields, "message": message}
        if record.exc_info:
            fields = {**fields, "traceback": self.formatException(record.exc_info)}
        pairs = "".join(f" {key}={_value(value)}" for key, value in fields.items() if value is not None)
        return f"{timestamp(record.created)} {record.levelname} {name}{pairs}"


def _value(value: object) -> str:
    """A value as it is if nothing in it can be taken for something else, or as a JSON string in ASCII."""
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    if _BARE.fullmatch(text):
        return text
    return json.dumps(text).replace("\x7f", "\\u007f")
