"""Requests as the data path records them."""

from __future__ import annotations

from typing import Any

from lbproxy.record import Trace

TRACE = Trace(
    trace_id="0af7651916cd43dd8448eb211c80319c",
    span_id="b7ad6b7169203331",
    parent_id="",
    request_id="4711",
    listener="login",
    pool="connectors",
    scheme="https",
    method="GET",
    path="/wsfed",
    host="login.corp.example",
    protocol="HTTP/1.1",
    status=200,
    bytes_in=900,
    bytes_out=4000,
    backend="c1",
    lane="shared",
    tries=1,
    reason="done",
    started=1000.0,
    opened=1000.001,
    connected=1000.002,
    ready=1000.004,
    sent=1000.005,
    first_byte=1000.010,
    ended=1000.020,
    attempts=[],
)


def made(**changed: Any) -> Trace:
    return TRACE._replace(**changed)
