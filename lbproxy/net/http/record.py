"""What the access log is told of one request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from lbproxy.net.http.exchange import Exchange
from lbproxy.net.transport.poller import monotonic
from lbproxy.net.upstream.lane import Lane
from lbproxy.reasons import Reason

if TYPE_CHECKING:
    from lbproxy.net.http.client import ClientConnection
    from lbproxy.net.passthrough.connection import PassthroughConnection


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
    user: str  # whose client certificate it was: its common name; "" without one
    backend: str
    lane: str
    reused: bool
    tries: int
    connect_ms: float
    first_byte_ms: float
    total_ms: float
    reason: str


def record(exchange: Exchange, client: ClientConnection, reason: Reason) -> Record:
    """Of the request that `exchange` has just ended with `reason`."""
    lane = exchange.served_by
    method, target, host, protocol, status, received, sent, user_agent, connect, first_byte, total = exchange.summary()
    fields = (
        time.time(),
        client.listener.name,
        client.peer.name,
        method,
        target,
        host,
        protocol,
        status,
        received,
        sent,
        user_agent,
        "" if client.certificate is None else client.certificate.name,
        "" if lane is None else lane.backend.name,
        "" if lane is None else "shared" if lane.owner is None else "private",
        lane is not None and lane.served > 1,
        exchange.tries,
        connect,
        first_byte,
        total,
        reason.label,
    )
    return tuple.__new__(Record, fields)  # as Record(*fields) does, at half its cost


def passthrough_record(connection: PassthroughConnection, lane: Lane | None, tries: int, reason: Reason) -> Record:
    """Of a connection that was passed through and has just ended; what HTTP would tell is empty. lane: that it had."""
    return Record(
        time=time.time(),
        listener=connection.listener.name,
        client=connection.peer.name,
        method="",
        target="",
        host=connection.server_name,
        protocol="TCP",
        status=0,
        bytes_in=connection.stream.received,
        bytes_out=connection.stream.sent,
        user_agent="",
        user="",
        backend="" if lane is None else lane.backend.name,
        lane="" if lane is None else "private",
        reused=False,
        tries=tries,
        connect_ms=_since(connection.started, connection.connected_at),
        first_byte_ms=-1,
        total_ms=_since(connection.started, monotonic()),
        reason=reason.label,
    )


def _since(started: float, reached: float) -> float:
    """Milliseconds from one moment to a later one; -1 when it was not reached."""
    return 1000 * (reached - started) if reached else -1
