"""What a trace shows of one HTTP request."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from lbproxy.net.http.attempts import Attempts
from lbproxy.net.http.exchange import Exchange
from lbproxy.net.transport.poller import monotonic
from lbproxy.net.upstream.lane import Lane
from lbproxy.reasons import Reason
from lbproxy.record import Attempt, Trace

if TYPE_CHECKING:
    from lbproxy.net.http.web import WebService

MAX_PATH = 256
"""Characters; what is longer is cut."""


def trace(exchange: Exchange, attempts: Attempts | None, listener: str, service: WebService, reason: Reason) -> Trace:
    """Of the request that `exchange` has just ended with `reason`. attempts: its, if it got so far.

    Neither the query nor any other header than Host is in it: they may have credentials.
    """
    ids, lane, at = exchange.ids, exchange.served_by, _clock()
    assert ids is not None, "only what is named is recorded"
    method, target, host, protocol, status, bytes_in, bytes_out, *_ = exchange.summary()
    failures = [] if attempts is None else attempts.failures
    if failures and exchange.sent < failures[-1][2]:
        lane = None  # that of an attempt before, and no other one followed
    opened, connected, ready = map(at, _opening(lane, exchange.started))
    return Trace(
        trace_id=ids.trace_id,
        span_id=ids.span_id,
        parent_id=ids.parent_id,
        request_id=ids.request_id.decode("latin-1"),
        listener=listener,
        pool=service.pool.name,
        scheme="http" if service.tls is None else "https",
        method=method,
        path=target.partition("?")[0][:MAX_PATH],
        host=host,
        protocol=protocol,
        status=status,
        bytes_in=bytes_in,
        bytes_out=bytes_out,
        backend="" if lane is None else lane.backend.name,
        lane="" if lane is None else "shared" if lane.owner is None else "private",
        tries=exchange.tries,
        reason=reason.label,
        started=at(exchange.started),
        opened=opened,
        connected=connected,
        ready=ready,
        sent=at(exchange.sent),
        first_byte=at(exchange.first_byte),
        ended=at(exchange.ended),
        attempts=[Attempt(backend, label, at(until)) for backend, label, until in failures],
    )


def _opening(lane: Lane | None, started: float) -> tuple[float, float, float]:
    """When the lane was opened, connected and ready; zeros, if that was not for the request that began at `started`."""
    if lane is None or lane.served > 1 or lane.opened_at < started:
        return 0.0, 0.0, 0.0
    return lane.opened_at, lane.connected_at, lane.ready_at


def _clock() -> Callable[[float], float]:
    """What makes seconds of CLOCK_MONOTONIC seconds since the epoch; 0 stays 0."""
    since = time.time() - monotonic()
    return lambda moment: since + moment if moment else 0.0
