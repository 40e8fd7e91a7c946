"""A line of the log as a value: what one process tells another of what it has logged. The master imports this."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NamedTuple

KEPT = 200
"""Events that are kept, and that wait at most to be told."""

_LONGEST = 500
"""Characters of a value: a traceback, or what a peer has sent, may be long."""


class LoggedEvent(NamedTuple):
    """When (seconds since the epoch), its level, its name, its fields as text, and the process that has logged it."""

    at: float
    level: str
    name: str
    fields: dict[str, str]
    process: str


def logged_event(record: logging.LogRecord, process: str) -> LoggedEvent:
    """What a record of the log says."""
    fields: Mapping[str, object] = getattr(record, "fields", {})
    message = record.getMessage()
    name = message if hasattr(record, "fields") else record.name
    shown = {key: str(value)[:_LONGEST] for key, value in fields.items() if value is not None}
    if name is not message:
        shown["message"] = message[:_LONGEST]
    return LoggedEvent(record.created, record.levelname, name, shown, process)
