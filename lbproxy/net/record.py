"""What the access log is told of one request."""

from __future__ import annotations

from typing import NamedTuple


class Record(NamedTuple):
    """One request, ended. Times of the phases are milliseconds since the head was complete; -1: not reached.

    `time` is seconds since the epoch, `client` is address:port; strings are what was received, as latin-1.
    Never an Authorization value or a cookie.
    """

    time: float
    listener: str
    client: str
    method: str
    target: str
    host: str
    protocol: str
    status: int
    bytes_in: int
    bytes_out: int
    user_agent: str
    backend: str
    lane: str
    reused: bool
    tries: int
    connect_ms: float
    first_byte_ms: float
    total_ms: float
    reason: str
