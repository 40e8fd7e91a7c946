"""The access log's record of one HTTP request."""

from __future__ import annotations

import time

from lbproxy.net.http.exchange import Exchange
from lbproxy.reasons import Reason
from lbproxy.record import Record


def record(exchange: Exchange, listener: str, client: str, user: str, reason: Reason) -> Record:
    """Of the request that `exchange` has just ended with `reason`, for the client at the address `client`."""
    lane = exchange.served_by
    method, target, host, protocol, status, received, sent, user_agent, connect, first_byte, total, *ids = (
        exchange.summary()
    )
    fields = (
        time.time(),
        listener,
        client,
        method,
        target,
        host,
        protocol,
        status,
        received,
        sent,
        user_agent,
        user,
        "" if lane is None else lane.backend.name,
        "" if lane is None else "shared" if lane.owner is None else "private",
        lane is not None and lane.served > 1,
        exchange.tries,
        connect,
        first_byte,
        total,
        reason.label,
        *ids,
    )
    return tuple.__new__(Record, fields)  # as Record(*fields) does, at half its cost
