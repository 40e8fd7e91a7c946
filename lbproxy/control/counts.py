"""What is counted, and what is open now: every number is declared here, once.

Each class has the numbers of one thing, such as a backend. From its keys follow those of the status, the sums over
processes and generations, and the rows of the metrics. `status.counters` reads the numbers where they are counted, in
functions that return these classes, so that mypy misses a key there.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, NamedTuple, TypedDict, get_type_hints


class Count(NamedTuple):
    """A number: the metric that shows it, and the help text of that metric.

    label: the metric's label that tells the parts of the number apart, if it has parts. part: the value of that label,
    where several numbers are one metric. is_open: it is open now, and ends with its process; the others have happened,
    and only grow. is_worst: of several processes the largest counts, and not the sum. is_histogram: it is `Waits`.
    """

    metric: str
    help: str
    label: str = ""
    part: str = ""
    is_open: bool = False
    is_worst: bool = False
    is_histogram: bool = False


@cache
def declared(counts: type) -> dict[str, Count]:
    """The numbers of one of the classes below, by their keys."""
    hints = get_type_hints(counts, include_extras=True)
    return {
        key: mark
        for key, hint in hints.items()
        for mark in getattr(hint, "__metadata__", ())
        if isinstance(mark, Count)
    }


class HandshakesView(TypedDict):
    """TLS handshakes since the start: whole ones, ones that resumed a session, and ones that failed."""

    full: int
    resumed: int
    failed: int


Responses = TypedDict("Responses", {"1xx": int, "2xx": int, "3xx": int, "4xx": int, "5xx": int})
"""Answers, by class of status."""


class ListenerCounts(TypedDict):
    """Of one listener. `refused` and `ends` are by reason. `tls_handshakes` None: TLS does not end there."""

    accepted: Annotated[int, Count("lbproxy_accepted_total", "Client connections accepted")]
    accept_pauses: Annotated[
        int, Count("lbproxy_accept_pauses_total", "Times that accepting stopped for want of descriptors")
    ]
    connections: Annotated[int, Count("lbproxy_connections", "Client connections open", is_open=True)]
    requests: Annotated[
        int, Count("lbproxy_requests_total", "Requests received; in modes tcp and sni, connections passed on")
    ]
    refused: Annotated[
        dict[str, int],
        Count("lbproxy_refused_total", "Connections turned away before they could ask anything", label="reason"),
    ]
    ends: Annotated[
        dict[str, int],
        Count(
            "lbproxy_listener_ends_total",
            "Requests and connections of clients ended, by why they ended",
            label="reason",
        ),
    ]
    tls_handshakes: Annotated[
        HandshakesView | None,
        Count(
            "lbproxy_tls_handshakes_total",
            "TLS handshakes with clients: full, resumed or failed; those of refused certificates are not among them",
            label="result",
        ),
    ]


class Waits(TypedDict):
    """How long something took, many times: `below` has how many took less than each bound, and not less than the last.

    Bounds are seconds, as text, those of `lbproxy.balance.latency`; those that have none are left out. `sum` is of all,
    in seconds.
    """

    below: dict[str, int]
    sum: float


class BackendCounts(TypedDict):
    """Of one backend. `retried_from` are requests that moved from it to another one, `retried_to` those that came so.

    `active` are requests that are open, with `tunnels`: those of them whose bytes only pass (upgrades, tcp and sni).
    `bytes_to` and `bytes_from` have what connections moved until their last request ended. `first_byte` is the time
    from when the whole request was sent until the head of its answer was there. `tls_handshakes` None: it is no https
    backend.
    """

    active: Annotated[int, Count("lbproxy_backend_active_requests", "Requests it is working on", is_open=True)]
    requests: Annotated[int, Count("lbproxy_backend_requests_total", "Requests sent to it")]
    responses: Annotated[
        Responses,
        Count("lbproxy_backend_responses_total", "Answers it gave, by class of status (2xx)", label="class"),
    ]
    errors: Annotated[int, Count("lbproxy_backend_errors_total", "Failures that count against it")]
    connect_failures: Annotated[int, Count("lbproxy_backend_connect_failures_total", "Connections to it that failed")]
    retried_from: Annotated[
        int, Count("lbproxy_backend_retried_total", "Requests that moved from it to another backend")
    ]
    retried_to: Annotated[
        int, Count("lbproxy_backend_retried_to_total", "Requests that came to it after another backend had failed them")
    ]
    ejections: Annotated[
        int, Count("lbproxy_backend_ejections_total", "Times it was taken out of rotation for its health")
    ]
    idle_lanes: Annotated[
        int,
        Count(
            "lbproxy_backend_lanes",
            "Connections to it: idle shared ones, and private ones",
            label="kind",
            part="idle",
            is_open=True,
        ),
    ]
    private_lanes: Annotated[
        int,
        Count(
            "lbproxy_backend_lanes",
            "Connections to it: idle shared ones, and private ones",
            label="kind",
            part="private",
            is_open=True,
        ),
    ]
    tunnels: Annotated[
        int,
        Count(
            "lbproxy_backend_tunnels",
            "Connections to it whose bytes only pass: upgraded ones, and those of modes tcp and sni",
            is_open=True,
        ),
    ]
    tls_handshakes: Annotated[
        HandshakesView | None,
        Count(
            "lbproxy_backend_tls_handshakes_total", "TLS handshakes with it: full, resumed or failed", label="result"
        ),
    ]
    lanes_opened: Annotated[int, Count("lbproxy_backend_lanes_opened_total", "Connections opened to it")]
    bytes_to: Annotated[
        int,
        Count(
            "lbproxy_backend_bytes_total",
            "Bytes that went to it (to) and came from it (from), without what TLS adds",
            label="direction",
            part="to",
        ),
    ]
    bytes_from: Annotated[
        int,
        Count(
            "lbproxy_backend_bytes_total",
            "Bytes that went to it (to) and came from it (from), without what TLS adds",
            label="direction",
            part="from",
        ),
    ]
    first_byte: Annotated[
        Waits,
        Count(
            "lbproxy_backend_first_byte_seconds",
            "Time from the end of a request until the head of its answer was there",
            is_histogram=True,
        ),
    ]


class RetryBudgetView(TypedDict):
    """Requests of a pool that were sent a second time in the last 10 s, and how many may be."""

    used: Annotated[int, Count("lbproxy_retries_used", "Requests sent a second time in the last 10 s", is_open=True)]
    limit: Annotated[
        int,
        Count("lbproxy_retries_limit", "Requests that retry_budget lets be sent a second time in 10 s", is_open=True),
    ]


class AccessLogView(TypedDict):
    """Lines of the access log."""

    written: Annotated[int, Count("lbproxy_access_log_written_total", "Lines written")]
    dropped: Annotated[int, Count("lbproxy_access_log_dropped_total", "Lines lost to a full disk or a stalled reader")]


class LogLinesView(TypedDict):
    """Lines of the operational log, of the processes that serve; the master's are not among them."""

    written: Annotated[int, Count("lbproxy_log_written_total", "Lines of the operational log written")]
    dropped: Annotated[
        int, Count("lbproxy_log_dropped_total", "Lines of the operational log lost: what takes them is away or stalled")
    ]


class TracingView(TypedDict):
    """Requests that were sampled for a trace."""

    sampled: Annotated[int, Count("lbproxy_traces_sampled_total", "Requests whose trace was recorded")]
    exported: Annotated[int, Count("lbproxy_traces_exported_total", "Of these, taken by the collector")]
    dropped: Annotated[
        int, Count("lbproxy_traces_dropped_total", "Of these, lost: too many, or the collector did not take them")
    ]


class Durations(TypedDict):
    """How long something took, in seconds; for requests, from a whole head to the end of the answer."""

    buckets: list[tuple[float, int]]  # (le, how many took at most that long); the one without a bound is `count`
    count: int
    sum: float


class LagView(TypedDict):
    """How late the timers of event loops were, ten a second each; `worst` is the latest of the last 10 to 20 s."""

    seconds: Durations
    worst: Annotated[
        float,
        Count(
            "lbproxy_loop_lag_worst_seconds",
            "The longest of them in the last 10 to 20 s, of any process",
            is_open=True,
            is_worst=True,
        ),
    ]


OF_ONE = (ListenerCounts, BackendCounts, RetryBudgetView, AccessLogView, LogLinesView, TracingView, LagView)
"""All classes with numbers that have a metric."""
