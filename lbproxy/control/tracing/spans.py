"""A recorded request as spans (OpenTelemetry's semantic conventions for HTTP, where they have a name).

The whole request is a span of kind SERVER, whose id the backend got in `traceparent`. Below it are

    waiting     until a lane was there to be used, or was opened
    attempt     a backend that did not answer, with the reason
    connect     until the lane was connected
    handshake   until TLS was there
    first byte  from when the request was sent until the backend's answer began
    answer      from there until the answer has ended
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from lbproxy import __version__, reasons
from lbproxy.record import Trace

_SCOPE = InstrumentationScope("lbproxy", __version__)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_WELL = {reasons.DONE.label, reasons.TUNNEL_DONE.label}

Attributes = dict[str, str | int]


def spans_of(trace: Trace, resource: Resource) -> list[ReadableSpan]:
    """The request's own span first."""
    context = _context(trace, int(trace.span_id, 16))
    parent = _context(trace, int(trace.parent_id, 16), remote=True) if trace.parent_id else None
    failed = trace.status >= 500 or trace.reason not in _WELL
    root = ReadableSpan(
        name=trace.method or "HTTP",
        context=context,
        parent=parent,
        resource=resource,
        attributes=_attributes(trace, failed),
        events=[Event(name, timestamp=_ns(at)) for name, at in _moments(trace)],
        kind=SpanKind.SERVER,
        status=Status(StatusCode.ERROR, trace.reason) if failed else Status(),
        start_time=_ns(trace.started),
        end_time=_ns(trace.ended),
        instrumentation_scope=_SCOPE,
    )
    return [root, *(_below(trace, context, resource, *step) for step in _steps(trace))]


def _attributes(trace: Trace, failed: bool) -> Attributes:
    found: Attributes = {
        "http.request.method": trace.method,
        "url.scheme": trace.scheme,
        "url.path": trace.path,
        "server.address": trace.host,
        "network.protocol.version": trace.protocol.removeprefix("HTTP/"),
        "http.response.status_code": trace.status,
        "lbproxy.listener": trace.listener,
        "lbproxy.pool": trace.pool,
        "lbproxy.backend": trace.backend,
        "lbproxy.lane": trace.lane,
        "lbproxy.tries": trace.tries,
        "lbproxy.reason": trace.reason,
        "lbproxy.request_id": trace.request_id,
        "lbproxy.bytes_in": trace.bytes_in,
        "lbproxy.bytes_out": trace.bytes_out,
        "error.type": trace.reason if failed else "",
    }
    return {name: value for name, value in found.items() if value != ""}


def _moments(trace: Trace) -> Iterator[tuple[str, float]]:
    """What became of it, and when."""
    yield from ((f"retried from {one.backend}: {one.reason}", one.until) for one in trace.attempts)
    if trace.sent:
        yield "sent", trace.sent
    if trace.first_byte:
        yield "first byte", trace.first_byte
    yield "done", trace.ended


def _steps(trace: Trace) -> Iterator[tuple[str, float, float, Attributes]]:
    """(name, beginning, end, attributes) of what the request spent its time with, in order."""
    at = trace.started
    for one in trace.attempts:
        yield "attempt", at, one.until, {"lbproxy.backend": one.backend, "lbproxy.reason": one.reason}
        at = one.until
    if not trace.backend:
        yield "waiting", at, trace.ended, {}
        return
    backend: Attributes = {"lbproxy.backend": trace.backend}
    yield "waiting", at, trace.opened or trace.sent or trace.ended, {}
    if trace.opened and trace.connected:
        yield "connect", trace.opened, trace.connected, backend
        if trace.ready > trace.connected:
            yield "handshake", trace.connected, trace.ready, backend
    if trace.sent:
        yield "first byte", trace.sent, trace.first_byte or trace.ended, backend
    if trace.first_byte:
        yield "answer", trace.first_byte, trace.ended, backend


def _below(
    trace: Trace, parent: SpanContext, resource: Resource, name: str, start: float, end: float, attributes: Attributes
) -> ReadableSpan:
    return ReadableSpan(
        name=name,
        context=_context(trace, secrets.randbits(64) or 1),
        parent=parent,
        resource=resource,
        attributes=attributes,
        kind=SpanKind.CLIENT if name == "first byte" else SpanKind.INTERNAL,
        status=Status(StatusCode.ERROR) if name == "attempt" else Status(),
        start_time=_ns(start),
        end_time=max(_ns(start), _ns(end)),
        instrumentation_scope=_SCOPE,
    )


def _context(trace: Trace, span_id: int, remote: bool = False) -> SpanContext:
    return SpanContext(int(trace.trace_id, 16), span_id, remote, _SAMPLED)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
