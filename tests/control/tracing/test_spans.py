from __future__ import annotations

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from lbproxy.control.tracing.spans import spans_of
from lbproxy.record import Attempt, Trace
from tests.control.tracing.samples import made

RESOURCE = Resource({"service.name": "lbproxy"})


def steps(trace: Trace) -> list[tuple[str, int, int]]:
    """What is below the request's own span: name, beginning and end in ms."""
    root, *below = spans_of(trace, RESOURCE)
    assert root.context is not None
    assert all(span.parent == root.context for span in below)
    assert len({span.context.span_id for span in below if span.context}) == len(below)
    return [(span.name, ms(span.start_time), ms(span.end_time)) for span in below]


def ms(moment: int | None) -> int:
    assert moment is not None
    return round(moment / 1e6) - 1_000_000


def root_of(trace: Trace) -> ReadableSpan:
    return spans_of(trace, RESOURCE)[0]


def test_a_request_over_a_new_lane_with_tls() -> None:
    assert steps(made()) == [
        ("waiting", 0, 1),
        ("connect", 1, 2),
        ("handshake", 2, 4),
        ("first byte", 5, 10),
        ("answer", 10, 20),
    ]


def test_a_lane_that_was_there_is_not_connected_again() -> None:
    assert [name for name, _, _ in steps(made(opened=0.0, connected=0.0, ready=0.0))] == [
        *("waiting", "first byte", "answer"),
    ]


def test_without_tls_there_is_no_handshake() -> None:
    assert "handshake" not in [name for name, _, _ in steps(made(ready=1000.002))]


def test_a_retry() -> None:
    trace = made(
        attempts=[Attempt("c2", "connect_refused", 1000.002), Attempt("c3", "lane_lost", 1000.003)],
        tries=3,
        opened=1000.003,
        connected=1000.004,
        ready=1000.004,
    )
    assert steps(trace)[:3] == [("attempt", 0, 2), ("attempt", 2, 3), ("waiting", 3, 3)]
    first = spans_of(trace, RESOURCE)[1]
    assert dict(first.attributes or {}) == {"lbproxy.backend": "c2", "lbproxy.reason": "connect_refused"}
    assert first.status.status_code is StatusCode.ERROR
    assert [event.name for event in root_of(trace).events] == [
        *("retried from c2: connect_refused", "retried from c3: lane_lost", "sent", "first byte", "done"),
    ]


def test_no_backend() -> None:
    trace = made(backend="", status=503, reason="no_backend", sent=0.0, first_byte=0.0, opened=0.0)
    assert steps(trace) == [("waiting", 0, 20)]
    root = root_of(trace)
    assert root.status.status_code is StatusCode.ERROR
    assert root.attributes is not None
    assert root.attributes["error.type"] == "no_backend"
    assert "lbproxy.backend" not in root.attributes


def test_an_answer_that_never_began() -> None:
    assert steps(made(first_byte=0.0, reason="response_timeout", status=504))[-1] == ("first byte", 5, 20)


def test_the_requests_own_span() -> None:
    root = root_of(made())
    assert root.context is not None
    assert f"{root.context.trace_id:032x}" == made().trace_id
    assert f"{root.context.span_id:016x}" == made().span_id
    assert (root.name, root.kind, root.parent) == ("GET", SpanKind.SERVER, None)
    assert root.status.status_code is StatusCode.UNSET
    assert (ms(root.start_time), ms(root.end_time)) == (0, 20)
    assert root.attributes is not None
    assert root.attributes["lbproxy.reason"] == "done"
    assert root.attributes["url.path"] == "/wsfed"
    assert root.attributes["http.response.status_code"] == 200
    assert "error.type" not in root.attributes


def test_the_clients_span_is_its_parent() -> None:
    parent = root_of(made(parent_id="00000000000000aa")).parent
    assert parent is not None
    assert (parent.span_id, parent.is_remote) == (0xAA, True)
