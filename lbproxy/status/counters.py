"""What the data path has counted, as plain numbers: those of several processes add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.control.access_log import AccessLog
from lbproxy.control.snapshot import BackendCounts, BackendView, Durations, HandshakesView, LagView, Snapshot
from lbproxy.net.http.web import WebService
from lbproxy.net.listener.listener import Listener
from lbproxy.runtime.data_path import DataPath

Counters = dict[str, Any]
"""Numbers in dictionaries of dictionaries, under the names that the snapshot has for them; see `take`."""

_OPEN = frozenset(
    {"connections", "active", "idle_lanes", "private_lanes", "tunnels", "used", "limit", "worst", "left_on"}
)
"""What is open, or so, now: it ends with its process. Everything else has happened, and stays true."""

_LARGEST = frozenset({"worst"})
"""What does not add up: the largest is that of all."""


def take(data_path: DataPath, access_log: AccessLog) -> Counters:
    """Everything that `worker` has counted, and what is open. Backends are keyed POOL/NAME."""
    ends: Counter[str] = Counter(data_path.lane_ends)
    for listener in data_path.listeners.values():
        ends.update(listener.ends)
    backends = {
        f"{pool.name}/{one.name}": backend_counts(one) for pool in data_path.pools.values() for one in pool.backends
    }
    late = lag(data_path)
    return {
        "listeners": {name: _listener(listener) for name, listener in data_path.listeners.items()},
        "backends": backends,
        "left_on": data_path.left_on(),
        "budgets": {
            name: {"used": pool.retry_budget.used, "limit": pool.retry_budget.limit}
            for name, pool in data_path.pools.items()
        },
        "ends": dict(ends),
        "request_seconds": _named(durations(data_path.listeners.values())),
        "loop_lag": {**late, "seconds": _named(late["seconds"])},
        "access_log": {"written": access_log.written, "dropped": access_log.dropped},
    }


def total(tallies: Iterable[Counters]) -> Counters:
    """The sum; what only some have counts as 0 for the others."""
    found: Counters = {}
    for counters in tallies:
        found = cast(Counters, _sum(found, counters))
    return found


def past(counters: Counters) -> Counters:
    """The same once its process has ended: nothing of it is open any more."""
    return {key: _past(key, value) for key, value in counters.items()}


def _past(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {} if key in _OPEN else past(value)
    return 0 if key in _OPEN else value


def complete(snapshot: Snapshot, others: Counters) -> None:
    """Add what other processes have counted to `snapshot`, for the listeners and backends that are in it."""
    if not others:
        return
    for listener in snapshot["listeners"]:
        _add(listener, others["listeners"].get(listener["name"], {}))
    for pool in snapshot["pools"]:
        _add(pool["retry_budget"], others["budgets"].get(pool["name"], {}))
        for backend in pool["backends"]:
            complete_backend(pool["name"], backend, others)
    _add(snapshot["ends"], others["ends"])
    _add(snapshot["access_log"], others["access_log"])
    _add_durations(snapshot["request_seconds"], others["request_seconds"])
    late = snapshot["loop_lag"]
    _add_durations(late["seconds"], others["loop_lag"]["seconds"])
    late["worst"] = max(late["worst"], others["loop_lag"]["worst"])


def complete_backend(pool: str, backend: BackendView, others: Counters) -> None:
    """The same for one backend."""
    if others:
        _add(backend, others["backends"].get(f"{pool}/{backend['name']}", {}))


def _add_durations(durations: Durations, more: Counters) -> None:
    durations["count"] += more["count"]
    durations["sum"] += more["sum"]
    durations["buckets"] = [(le, count + more["buckets"].get(str(le), 0)) for le, count in durations["buckets"]]


def _add(counted: Any, more: Counters) -> None:
    counted.update(_sum(counted, more))


def _sum(one: Any, other: Any, largest: bool = False) -> Any:
    if one is None or other is None:  # TLS ends there in one of them only
        return one
    if not isinstance(one, Mapping):
        return max(one, other) if largest else one + other
    return {
        **one,
        **{key: _sum(one[key], value, key in _LARGEST) if key in one else value for key, value in other.items()},
    }


def durations(listeners: Iterable[Listener]) -> Durations:
    """The listeners' histograms, added up; they have the same buckets."""
    sites = [listener.service.site for listener in listeners if isinstance(listener.service, WebService)]
    columns = zip(*(site.histogram() for site in sites), strict=True)
    return {
        "buckets": [(column[0][0], sum(count for _, count in column)) for column in columns],
        "count": sum(site.observed for site in sites),
        "sum": sum(site.seconds for site in sites),
    }


def lag(data_path: DataPath) -> LagView:
    """How late its loop was."""
    observed = data_path.lag
    seconds: Durations = {"buckets": observed.histogram(), "count": observed.observed, "sum": observed.seconds}
    return {"seconds": seconds, "worst": observed.worst}


def handshakes(listener: Listener) -> HandshakesView | None:
    """With clients. A certificate that is not accepted is no failed handshake: it has reasons of its own."""
    service = listener.service
    if not isinstance(service, WebService) or service.tls is None:
        return None
    failed = sum(listener.ends.get(reason.label, 0) for reason in (reasons.TLS_FAILED, reasons.TLS_TIMEOUT))
    return {"full": service.handshakes - service.resumed, "resumed": service.resumed, "failed": failed}


def backend_handshakes(backend: Backend) -> HandshakesView | None:
    """Towards a backend; None where its lanes have no TLS."""
    lanes = backend.lanes
    if lanes.options.tls is None:
        return None
    return {"full": lanes.handshakes - lanes.resumed, "resumed": lanes.resumed, "failed": lanes.handshakes_failed}


def _listener(listener: Listener) -> Counters:
    return {
        "connections": len(listener.connections),
        "accepted": listener.accepted,
        "accept_pauses": listener.pauses,
        "requests": listener.service.requests,
        "refused": dict(listener.refused),
        "ends": listener.ends,
        "tls_handshakes": handshakes(listener),
    }


def backend_counts(backend: Backend) -> BackendCounts:
    """Of one backend, in this process."""
    return {
        "requests": backend.requests,
        "active": backend.active,
        "errors": backend.errors,
        "ejections": backend.ejections,
        "lanes_opened": backend.lanes_opened,
        "connect_failures": backend.connect_failures,
        "retried_from": backend.retried_from,
        "idle_lanes": len(backend.lanes.idle),
        "private_lanes": backend.lanes.private,
        "tunnels": backend.lanes.tunnels,
        "tls_handshakes": backend_handshakes(backend),
        "responses": {f"{kind}xx": backend.responses[kind] for kind in range(1, 6)},
    }


def _named(measured: Durations) -> Counters:
    """The same with a name for each bucket: its upper bound."""
    return {**measured, "buckets": {str(le): count for le, count in measured["buckets"]}}
