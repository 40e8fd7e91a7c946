"""What the access log is told of one request."""

from __future__ import annotations

import time
from typing import NamedTuple

from lbproxy.net.exchange import Exchange
from lbproxy.net.lane import Lane
from lbproxy.reasons import Reason


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


def record(exchange: Exchange, listener: str, client: str, lane: Lane | None, tries: int, reason: Reason) -> Record:
    """Of the request that `exchange` has just ended with `reason`. lane: the last that it was sent on, if any."""
    started = exchange.started
    return Record(
        time=time.time(),
        listener=listener,
        client=client,
        method=exchange.method.decode("latin-1"),
        target=exchange.target.decode("latin-1"),
        host=exchange.host.decode("latin-1"),
        protocol=exchange.protocol,
        status=exchange.status,
        bytes_in=exchange.bytes_in,
        bytes_out=exchange.bytes_out,
        user_agent=exchange.user_agent.decode("latin-1"),
        backend="" if lane is None else lane.backend.name,
        lane="" if lane is None else ("private" if lane.private else "shared"),
        reused=lane is not None and lane.served > 1,
        tries=tries,
        connect_ms=_since(started, exchange.sent),
        first_byte_ms=_since(started, exchange.first_byte),
        total_ms=_since(started, exchange.ended),
        reason=reason.label,
    )


def _since(started: float, reached: float) -> float:
    """Milliseconds from one moment to a later one; -1 when it was not reached."""
    return 1000 * (reached - started) if reached else -1
