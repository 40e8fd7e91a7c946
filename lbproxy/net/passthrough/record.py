"""The access log's record of one connection that was passed through."""

from __future__ import annotations

import time

from lbproxy.net.transport.poller import monotonic
from lbproxy.net.transport.stream import Stream
from lbproxy.net.upstream.lane import Lane
from lbproxy.reasons import Reason
from lbproxy.record import Record


def record(
    stream: Stream,
    listener: str,
    client: str,
    server_name: str,
    lane: Lane | None,
    tries: int,
    times: tuple[float, float],
    reason: Reason,
) -> Record:
    """Of the connection of `client` on `stream`, which has just ended. The fields that only HTTP has are empty.

    server_name: that its ClientHello asked for. lane: that it had. times: when it began and when its lane was there
    (0: never), in seconds of CLOCK_MONOTONIC.
    """
    started, connected = times
    return Record(
        time=time.time(),
        listener=listener,
        client=client,
        method="",
        target="",
        host=server_name,
        protocol="TCP",
        status=0,
        bytes_in=stream.received,
        bytes_out=stream.sent,
        user_agent="",
        user="",
        backend="" if lane is None else lane.backend.name,
        lane="" if lane is None else "private",
        reused=False,
        tries=tries,
        connect_ms=1000 * (connected - started) if connected else -1,
        first_byte_ms=-1,
        total_ms=1000 * (monotonic() - started),
        reason=reason.label,
        request_id="",
        trace_id="",
    )
