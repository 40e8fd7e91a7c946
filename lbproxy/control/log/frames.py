"""An entry of a log as one datagram.

RFC 5424 for a syslog on the network, what syslog(3) sends for one of this host, the native protocol for the journal.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from collections.abc import Mapping
from typing import NamedTuple

from lbproxy.control.log.datagrams import Receiver
from lbproxy.control.log.timestamp import timestamp

LONGEST = 8192
"""Bytes of a datagram to syslog: what rsyslog takes as it is installed."""

LONGEST_VALUE = 32768
"""Bytes of a value in the journal: some of them fit in a datagram."""

_DAEMON = 3
"""The facility (syslog(3): LOG_DAEMON)."""

_NO_FIELD = re.compile(r"[^A-Z0-9_]")


class Entry(NamedTuple):
    """A line of a log.

    name: of the program, as `journalctl -t` has it. priority: of syslog(3). at: seconds since the epoch. kind: the
    event's name. text: as the log has it after time and level. fields: what the journal keeps one by one.
    """

    name: str
    priority: int
    at: float
    kind: str
    text: str
    fields: Mapping[str, object]


def frame(entry: Entry, receiver: Receiver) -> bytes:
    """The datagram that `receiver` takes."""
    if receiver.is_journal:
        return _journal(entry)
    data = (_local(entry) if receiver.path else _rfc5424(entry)).encode("ascii", "backslashreplace")
    return data if len(data) <= LONGEST else data[: LONGEST - 3] + b"..."


def _rfc5424(entry: Entry) -> str:
    """Section 6; without structured data: the text has the fields."""
    host = socket.gethostname() or "-"
    head = f"<{_DAEMON * 8 + entry.priority}>1 {timestamp(entry.at)} {host} {entry.name} {os.getpid()}"
    return f"{head} {entry.kind[:32]} - {entry.text}"


def _local(entry: Entry) -> str:
    """Of RFC 3164, without the host, in local time: every syslog takes it on its socket."""
    now = time.localtime(entry.at)
    when = f"{_MONTHS[now.tm_mon - 1]} {now.tm_mday:2} {now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02}"
    return f"<{_DAEMON * 8 + entry.priority}>{when} {entry.name}[{os.getpid()}]: {entry.text}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _journal(entry: Entry) -> bytes:
    """Fields of an event are LBPROXY_NAME; systemd.journal-fields(7) has the others."""
    values = {
        "MESSAGE": entry.text,
        "PRIORITY": entry.priority,
        "SYSLOG_FACILITY": _DAEMON,
        "SYSLOG_IDENTIFIER": entry.name,
        "LBPROXY_EVENT": entry.kind,
        **{_field(key): value for key, value in entry.fields.items() if value is not None},
    }
    return b"".join(_pair(key, str(value)) for key, value in values.items())


def _field(name: str) -> str:
    return "LBPROXY_" + _NO_FIELD.sub("_", name.upper())[:56]


def _pair(name: str, value: str) -> bytes:
    """A value with line ends has its length before it."""
    data = value.encode("utf-8", "backslashreplace")[:LONGEST_VALUE]
    if b"\n" not in data:
        return b"%b=%b\n" % (name.encode(), data)
    return b"%b\n%b%b\n" % (name.encode(), struct.pack("<Q", len(data)), data)
