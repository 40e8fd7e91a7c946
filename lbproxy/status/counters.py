"""What is counted in this process, as plain numbers (`take`), and sums of what several processes have counted.

`control.counts` declares the numbers. `Counters` have those of a whole process:

| key | has |
| --- | --- |
| listeners | `ListenerCounts`, by the listener's name |
| backends | `BackendCounts`, by POOL/NAME |
| left_on | requests that are open on backends that have left, by POOL/NAME |
| budgets | `RetryBudgetView`, by the pool's name |
| ends | how requests, connections and lanes ended, by reason |
| request_seconds | `Durations`, its buckets by their upper bound |
| loop_lag | `LagView`, the same |
| access_log | `AccessLogView` |
| log_lines | `LogLinesView` |
| tracing | `TracingView` |

What a process of another version has not counted is not there, and counts as 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeVar, cast, get_args, get_type_hints, is_typeddict

from lbproxy import reasons
from lbproxy.balance import full_name
from lbproxy.balance.backend import Backend
from lbproxy.balance.latency import Latency, bounds
from lbproxy.balance.pool import Pool
from lbproxy.control import log
from lbproxy.control.access_log import AccessLog
from lbproxy.control.counts import (
    OF_ONE,
    AccessLogView,
    BackendCounts,
    Durations,
    HandshakesView,
    LagView,
    ListenerCounts,
    LogLinesView,
    RetryBudgetView,
    TracingView,
    Waits,
    declared,
)
from lbproxy.net.http.web import WebService
from lbproxy.net.listener.listener import Listener
from lbproxy.runtime.data_path import DataPath
from lbproxy.runtime.loop_lag import LoopLag
from lbproxy.runtime.model import Model

Counters = dict[str, Any]
"""Numbers in dictionaries of dictionaries; see above."""

_OPEN = {key for counts in OF_ONE for key, count in declared(counts).items() if count.is_open} | {"left_on"}
_WORST = {key for counts in OF_ONE for key, count in declared(counts).items() if count.is_worst}

_NAMED = {"listeners", "backends", "budgets", "refused", "ends"}
"""What has names and reasons for keys: they are free, and may be those of numbers."""

_BOUNDS = tuple(map(str, bounds()))

View = TypeVar("View")


# --- what this process has counted


def take(data_path: DataPath, access_log: AccessLog) -> Counters:
    """Everything that `data_path` has counted, and what is open."""
    backends = {key(pool, one): of_backend(one) for pool in data_path.pools.values() for one in pool.backends}
    return {**take_process(data_path, access_log), "backends": backends}


def take_process(data_path: DataPath, access_log: AccessLog) -> Counters:
    """The same without the single backends, of which there may be thousands."""
    ends: Counter[str] = Counter(data_path.lane_ends)
    for listener in data_path.listeners.values():
        ends.update(listener.ends)
    written: AccessLogView = {"written": access_log.written, "dropped": access_log.dropped}
    return {
        "listeners": {name: _of_listener(listener) for name, listener in data_path.listeners.items()},
        "left_on": data_path.left_on(),
        "budgets": {name: _of_budget(pool) for name, pool in data_path.pools.items()},
        "ends": dict(ends),
        "request_seconds": _requests(data_path.listeners.values()),
        "loop_lag": _lag(data_path.model.lag),
        "access_log": written,
        "log_lines": _log_lines(),
        "tracing": data_path.traces.counted(),
    }


def take_model(model: Model) -> Counters:
    """The same of a process without a data path, which only decides."""
    backends = {key(pool, one): of_backend_in_model(one) for pool in model.pools.values() for one in pool.backends}
    return {"backends": backends, "loop_lag": _lag(model.lag), "log_lines": _log_lines()}


def _log_lines() -> LogLinesView:
    written, lost = log.counted()
    return {"written": written, "dropped": lost}


def key(pool: Pool, backend: Backend) -> str:
    """POOL/NAME."""
    return full_name.join(pool.name, backend.name)


def of_backend(backend: Backend) -> BackendCounts:
    """Of one backend, in this process."""
    _, one, two, three, four, five = backend.responses
    lanes = backend.lanes
    return {
        "active": backend.active,
        "requests": backend.requests,
        "responses": {"1xx": one, "2xx": two, "3xx": three, "4xx": four, "5xx": five},
        "errors": backend.errors,
        "connect_failures": backend.connect_failures,
        "retried_from": backend.retried_from,
        "ejections": backend.ejections,
        "idle_lanes": len(lanes.idle),
        "private_lanes": lanes.private,
        "tunnels": lanes.tunnels,
        "tls_handshakes": _handshakes_with(backend),
        "lanes_opened": backend.lanes_opened,
        "bytes_to": backend.bytes_to,
        "bytes_from": backend.bytes_from,
        "first_byte": waits(backend.latency),
        "retried_to": backend.retried_to,
    }


def of_backend_in_model(backend: Backend) -> Counters:
    """The same in a process without a data path: ejections are counted where they are decided."""
    return {"ejections": backend.ejections}


def _of_listener(listener: Listener) -> ListenerCounts:
    return {
        "accepted": listener.accepted,
        "accept_pauses": listener.pauses,
        "connections": len(listener.connections),
        "requests": listener.service.requests,
        "refused": dict(listener.refused),
        "ends": listener.ends,
        "tls_handshakes": _handshakes_of_clients(listener),
    }


def waits(latency: Latency) -> Waits:
    """Of the waits that a process has measured, those that happened."""
    counted = zip(_BOUNDS, latency.buckets, strict=True)
    return {"below": {bound: count for bound, count in counted if count}, "sum": latency.seconds}


def _of_budget(pool: Pool) -> RetryBudgetView:
    return {"used": pool.retry_budget.used, "limit": pool.retry_budget.limit}


def _handshakes_of_clients(listener: Listener) -> HandshakesView | None:
    """A certificate that is not accepted is no failed handshake: it has reasons of its own."""
    service = listener.service
    if not isinstance(service, WebService) or service.tls is None:
        return None
    failed = sum(listener.ends.get(reason.label, 0) for reason in (reasons.TLS_FAILED, reasons.TLS_TIMEOUT))
    return {"full": service.handshakes - service.resumed, "resumed": service.resumed, "failed": failed}


def _handshakes_with(backend: Backend) -> HandshakesView | None:
    lanes = backend.lanes
    if lanes.options.tls is None:
        return None
    return {"full": lanes.handshakes - lanes.resumed, "resumed": lanes.resumed, "failed": lanes.handshakes_failed}


def _requests(listeners: Iterable[Listener]) -> Counters:
    """The listeners' histograms, added up; they have the same buckets."""
    sites = [listener.service.site for listener in listeners if isinstance(listener.service, WebService)]
    columns = zip(*(site.histogram() for site in sites), strict=True)
    return {
        "buckets": {str(column[0][0]): sum(count for _, count in column) for column in columns},
        "count": sum(site.observed for site in sites),
        "sum": sum(site.seconds for site in sites),
    }


def _lag(lag: LoopLag) -> Counters:
    buckets = {str(le): count for le, count in lag.histogram()}
    return {"seconds": {"buckets": buckets, "count": lag.observed, "sum": lag.seconds}, "worst": lag.worst}


# --- sums


def total(tallies: Iterable[Counters]) -> Counters:
    """The sum. The first one that has a histogram says which buckets there are."""
    found: Counters = {}
    for counters in tallies:
        found = cast(Counters, _sum(found, counters))
    return found


def past(counters: Counters) -> Counters:
    """The same once its process has ended: nothing of it is open any more."""
    return cast(Counters, _past(counters))


def _past(value: Any, name: str = "") -> Any:
    """name: see `_sum`."""
    if not isinstance(value, dict):
        return 0 if name in _OPEN else value
    return {} if name in _OPEN else {key: _past(one, _inner(name, key)) for key, one in value.items()}


def _inner(name: str, key: str) -> str:
    """What is at `key` of `name`: "" if its key is free."""
    return "" if name in _NAMED else key


def of_backend_alone(counters: Counters, name: str) -> Counters:
    """Of the backend POOL/NAME, what `counters` have."""
    return cast(Counters, counters.get("backends", {}).get(name, {}))


def _sum(one: Any, other: Any, name: str = "") -> Any:
    """name: which number, or dictionary of numbers, they are; "" if that has no name of this module's."""
    if one is None or other is None:  # TLS ends there in one of them only
        return other if one is None else one
    if not isinstance(one, Mapping):
        return max(one, other) if name in _WORST else one + other
    if name == "buckets" and one:
        return {le: count + other.get(le, 0) for le, count in one.items()}
    both = {key: _sum(one[key], value, _inner(name, key)) for key, value in other.items() if key in one}
    return {**one, **other, **both}


# --- as the status shows them


def listener_view(counters: Counters, name: str, tls: bool) -> ListenerCounts:
    """Of the listener `name`. tls: whether TLS ends there."""
    counted = _whole(ListenerCounts, counters.get("listeners", {}).get(name, {}))
    return counted if tls else {**counted, "tls_handshakes": None}


def backend_view(counted: Counters, tls: bool) -> BackendCounts:
    """Of a backend, of which that was counted. tls: whether it is an https backend."""
    whole = _whole(BackendCounts, counted)
    return whole if tls else {**whole, "tls_handshakes": None}


def budget_view(counters: Counters, pool: str) -> RetryBudgetView:
    """Of a pool."""
    return _whole(RetryBudgetView, counters.get("budgets", {}).get(pool, {}))


def departed(counters: Counters, pool: str) -> dict[str, int]:
    """Requests that are open on backends which have left the pool, by the backend's name."""
    found = ((*full_name.split(name), count) for name, count in counters.get("left_on", {}).items())
    return {backend: count for of, backend, count in found if of == pool}


def access_log_view(counters: Counters) -> AccessLogView:
    """Of all processes."""
    return _whole(AccessLogView, counters.get("access_log", {}))


def log_lines_view(counters: Counters) -> LogLinesView:
    """Of all processes."""
    return _whole(LogLinesView, counters.get("log_lines", {}))


def tracing_view(counters: Counters) -> TracingView:
    """Of all processes."""
    return _whole(TracingView, counters.get("tracing", {}))


def durations_view(measured: Counters) -> Durations:
    """Of a histogram."""
    buckets = [(float(le), count) for le, count in measured.get("buckets", {}).items()]
    return {"buckets": buckets, "count": measured.get("count", 0), "sum": measured.get("sum", 0.0)}


def lag_view(counters: Counters) -> LagView:
    """Of all loops."""
    late = counters.get("loop_lag", {})
    return {"seconds": durations_view(late.get("seconds", {})), "worst": late.get("worst", 0.0)}


def _whole(counts: type[View], counted: Counters) -> View:
    """With every key of the class `counts`: what was not counted is 0."""
    return cast(View, _sum(_nothing(cast(Any, counts)), counted))


@cache
def _nothing(counts: Any) -> Any:
    """The value of a type of a number when nothing was counted."""
    if is_typeddict(counts):
        return {key: _nothing(hint) for key, hint in get_type_hints(counts).items()}
    kinds = [one for one in get_args(counts) if is_typeddict(one)]  # of one that may be None
    return _nothing(kinds[0]) if kinds else {} if counts == dict[str, int] else 0
