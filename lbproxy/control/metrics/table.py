"""Every metric of lbproxy: one row each, in the order of docs/monitoring.md.

What is counted is declared in `control.counts`, with its metrics (`_counted`); all others are here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from lbproxy.control.counts import (
    AccessLogView,
    BackendCounts,
    Count,
    Durations,
    LagView,
    ListenerCounts,
    LogLinesView,
    RetryBudgetView,
    TracingView,
    declared,
)
from lbproxy.control.metrics import fleet
from lbproxy.control.metrics.rows import Counter, Gauge, Histogram, Row, Sample, Samples
from lbproxy.control.snapshot import BackendView, DiscoveryView, Snapshot
from lbproxy.control.waits import durations

_LISTENER = ("listener",)
_POOL = ("pool",)
_BACKEND = ("pool", "backend")
_SOURCE = ("pool", "source")


Things = Callable[[Snapshot], Iterable[tuple[tuple[str, ...], Mapping[str, Any]]]]
"""The things of one kind in a snapshot, each with its labels."""


def _counted(counts: type, labels: tuple[str, ...], things: Things) -> Iterator[Row]:
    """The rows of what is declared in `counts`, in its order. Several numbers of one metric are one row."""
    by_metric: dict[str, dict[str, Count]] = {}
    for key, count in declared(counts).items():
        by_metric.setdefault(count.metric, {})[key] = count
    for metric, numbers in by_metric.items():
        first = next(iter(numbers.values()))
        names = (*labels, first.label) if first.label else labels
        if first.is_histogram:
            yield Histogram(metric, names, first.help, partial(_histograms, next(iter(numbers)), things), True)
            continue
        kind = Gauge if first.is_open else Counter
        yield kind(metric, names, first.help, partial(_samples, numbers, things))


def _histograms(key: str, things: Things, snapshot: Snapshot) -> Iterator[tuple[tuple[str, ...], Durations]]:
    return ((labels, durations(thing[key])) for labels, thing in things(snapshot))


def _samples(numbers: Mapping[str, Count], things: Things, snapshot: Snapshot) -> Iterator[Sample]:
    for labels, thing in things(snapshot):
        for key, count in numbers.items():
            found = thing[key]
            if isinstance(found, Mapping):
                yield from (((*labels, part), number) for part, number in found.items())
            elif found is not None:
                yield (*labels, count.part) if count.part else labels, found


def _backends(snapshot: Snapshot) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    for pool in snapshot["pools"]:
        for backend in pool["backends"]:
            yield (pool["name"], backend["name"]), backend


def _one(read: Callable[[Snapshot], float]) -> Samples:
    return lambda snapshot: [((), read(snapshot))]


def _each_backend(read: Callable[[BackendView], float | None]) -> Samples:
    """One sample a backend; none where `read` knows nothing."""

    def samples(snapshot: Snapshot) -> Iterator[Sample]:
        for pool in snapshot["pools"]:
            for backend in pool["backends"]:
                value = read(backend)
                if value is not None:
                    yield (pool["name"], backend["name"]), value

    return samples


def _parts_of_each_backend(read: Callable[[BackendView], Mapping[str, float]]) -> Samples:
    """Several samples a backend, told apart by one more label."""

    def samples(snapshot: Snapshot) -> Iterator[Sample]:
        for pool in snapshot["pools"]:
            for backend in pool["backends"]:
                for label, value in read(backend).items():
                    yield (pool["name"], backend["name"], label), value

    return samples


def _expiries(snapshot: Snapshot) -> Iterable[Sample]:
    """A bundle may hold several of one name: what ends first counts, and in a snapshot it comes first."""
    soonest: dict[tuple[str, ...], float] = {}
    for one in snapshot["expiries"]:
        soonest.setdefault((one["where"], one["kind"], one["path"], one["name"]), one["left_seconds"])
    return soonest.items()


def _inconsistencies(snapshot: Snapshot) -> Iterator[Sample]:
    for pool in snapshot["pools"]:
        differences = [] if pool["consistency"] is None else pool["consistency"]["differences"]
        differing = {(name, one["fact"]) for one in differences for name in one["backends"]}
        for backend in pool["backends"]:
            for fact, value in backend["facts"].items():
                if value is not None:
                    yield (pool["name"], backend["name"], fact), (backend["name"], fact) in differing


def _refusals(snapshot: Snapshot) -> Iterator[Sample]:
    for pool in snapshot["pools"]:
        for source, sentences in pool["refused"].items():
            yield (pool["name"], source), len(sentences)


def _each_source(read: Callable[[DiscoveryView], float]) -> Samples:
    return lambda snapshot: [
        ((pool["name"], source["source"]), read(source)) for pool in snapshot["pools"] for source in pool["discovery"]
    ]


def _ticket_troubles(snapshot: Snapshot) -> Iterator[Sample]:
    for pool in snapshot["pools"]:
        if pool["tickets"] and pool["tickets"]["reason"]:
            yield (pool["name"], pool["tickets"]["reason"]), 1


def _ends(snapshot: Snapshot) -> Iterator[Sample]:
    for reason, count in snapshot["ends"].items():
        yield (reason,), count


TABLE: tuple[Row, ...] = (
    Gauge("lbproxy_info", ("version",), "Always 1; the label says what runs", lambda s: [((s["version"],), 1)]),
    Gauge("lbproxy_uptime_seconds", (), "Seconds since the start", _one(lambda s: s["uptime_seconds"])),
    Gauge(
        "lbproxy_config_last_reload_successful",
        (),
        "1 if the last reload went well, or there was none; 0 if the old configuration stays",
        _one(lambda s: s["configuration"]["last_reload"] is None or s["configuration"]["last_reload"]["ok"]),
    ),
    Gauge(
        "lbproxy_config_last_reload_success_timestamp_seconds",
        (),
        "When the configuration that is served was read, in seconds since the epoch",
        _one(lambda s: s["configuration"]["loaded"]),
    ),
    Histogram(
        "lbproxy_loop_lag_seconds",
        (),
        "How late the timers of the event loops were, of all processes",
        lambda s: [((), s["loop_lag"]["seconds"])],
    ),
    *_counted(LagView, (), lambda s: [((), s["loop_lag"])]),
    # --- clients
    *_counted(ListenerCounts, _LISTENER, lambda s: [((one["name"],), one) for one in s["listeners"]]),
    Counter("lbproxy_ends_total", ("reason",), "The same of all listeners, and ends of lanes to backends", _ends),
    Gauge(
        "lbproxy_expiry_seconds",
        ("where", "kind", "path", "name"),
        "Time until a certificate or revocation list in use ends; negative once it has",
        _expiries,
    ),
    Gauge(
        "lbproxy_tls_files_refused",
        ("where",),
        "1 while changed certificates, keys or revocation lists cannot be used, and what was read before is; else 0",
        lambda s: [((one["where"],), one["refused"] is not None) for one in s["tls_files"]],
    ),
    Histogram(
        "lbproxy_request_duration_seconds",
        (),
        "Time from the end of a request's head to the end of its answer",
        lambda s: [((), s["request_seconds"])],
    ),
    # --- backends
    Gauge(
        "lbproxy_backend_up",
        _BACKEND,
        "1 if probes and traffic find it healthy",
        _each_backend(lambda b: b["state"] == "up"),
    ),
    Gauge(
        "lbproxy_backend_in_rotation", _BACKEND, "1 if it gets new requests", _each_backend(lambda b: b["in_rotation"])
    ),
    Gauge("lbproxy_backend_draining", _BACKEND, "1 if it is drained", _each_backend(lambda b: b["draining"])),
    Gauge(
        "lbproxy_backend_inconsistent",
        (*_BACKEND, "fact"),
        "1 if the fact is not there as it should be, 0 if it is; none while it is not known",
        _inconsistencies,
    ),
    Gauge(
        "lbproxy_backend_held_seconds",
        _BACKEND,
        "Time that it may not come back yet, because it flaps",
        _each_backend(lambda b: b["held_seconds"]),
    ),
    Gauge(
        "lbproxy_backend_standby",
        _BACKEND,
        "1 if it gets work only while too few others are in rotation",
        _each_backend(lambda b: b["standby"]),
    ),
    Gauge(
        "lbproxy_backends_refused",
        ("pool", "source"),
        "Backends that a source wanted and could not have",
        _refusals,
    ),
    Gauge(
        "lbproxy_backend_weight",
        _BACKEND,
        "Its weight; less in its slow start",
        _each_backend(lambda b: b["weight"] * b["ramp"]),
    ),
    *_counted(BackendCounts, _BACKEND, _backends),
    Gauge(
        "lbproxy_probe_success",
        _BACKEND,
        "1 if its last probe was good",
        _each_backend(lambda b: b["probe"]["ok"] if b["probe"] else None),
    ),
    Gauge(
        "lbproxy_probe_duration_seconds",
        _BACKEND,
        "Time that its last probe took",
        _each_backend(lambda b: b["probe"]["took_seconds"] if b["probe"] else None),
    ),
    # --- discovery
    Gauge(
        "lbproxy_discovery_members",
        _SOURCE,
        "Backends that the source has; those that the pool refuses are among them",
        _each_source(lambda d: d["members"]),
    ),
    Gauge(
        "lbproxy_discovery_stale_seconds",
        _SOURCE,
        "Time for which the source has been failing, and its last answer is used; 0 if it is not",
        _each_source(lambda d: d["stale_seconds"]),
    ),
    Gauge(
        "lbproxy_discovery_doubted",
        _SOURCE,
        "1 while its last answer does not count yet: it is empty, or more than half of the backends are gone",
        _each_source(lambda d: d["doubt"] is not None),
    ),
    *fleet.ROWS,
    # --- retries
    *_counted(RetryBudgetView, _POOL, lambda s: [((one["name"],), one["retry_budget"]) for one in s["pools"]]),
    # --- kerberos checks
    Gauge(
        "lbproxy_probe_reason",
        (*_BACKEND, "reason"),
        "1 for why its last kerberos probe could not sign in",
        _parts_of_each_backend(lambda b: {b["probe"]["reason"]: 1} if b["probe"] and b["probe"]["reason"] else {}),
    ),
    Gauge(
        "lbproxy_kerberos_trouble",
        ("pool", "reason"),
        "1 for what keeps the kerberos probes of the pool from a new ticket",
        _ticket_troubles,
    ),
    Gauge(
        "lbproxy_backend_binds",
        _BACKEND,
        "1 if it keeps the user on the connection, 0 if not; kerberos probes find out",
        _each_backend(lambda b: b["binds"]),
    ),
    # --- the access log
    *_counted(AccessLogView, (), lambda s: [((), s["access_log"])]),
    # --- the operational log
    *_counted(LogLinesView, (), lambda s: [((), s["log_lines"])]),
    # --- traces
    *_counted(TracingView, (), lambda s: [((), s["tracing"])]),
)
