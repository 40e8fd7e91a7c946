"""The metrics of a balancer's fleet; there are none without one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from lbproxy.control.fleet.views import FleetView
from lbproxy.control.metrics.rows import Gauge, Row, Sample, Samples
from lbproxy.control.snapshot import Snapshot

_FLEET = ("fleet",)


def _fleet(read: Callable[[FleetView], float]) -> Samples:
    return lambda snapshot: (
        [] if snapshot["fleet"] is None else [((snapshot["fleet"]["name"],), read(snapshot["fleet"]))]
    )


def _differing(snapshot: Snapshot) -> Iterator[Sample]:
    if (fleet := snapshot["fleet"]) is not None:
        for what in ("version", "configuration", "secret_file"):
            differs = [one["name"] for one in fleet["replicas"] for it in one["differs"] if it["what"] == what]
            yield (fleet["name"], what), len(differs)


def _tickets(snapshot: Snapshot) -> Iterator[Sample]:
    if (fleet := snapshot["fleet"]) is not None and fleet["tickets"] is not None:
        yield (fleet["name"],), fleet["tickets"]["shared"]


ROWS: tuple[Row, ...] = (
    Gauge(
        "lbproxy_fleet_member",
        _FLEET,
        "1 while the other balancers of the fleet know of this one",
        _fleet(lambda f: f["membership"] == "member"),
    ),
    Gauge(
        "lbproxy_fleet_unreachable_seconds",
        _FLEET,
        "Time for which the etcd of the fleet has not answered; 0 while it does",
        _fleet(lambda f: 0 if f["unreachable_since"] is None else max(0.0, time.time() - f["unreachable_since"])),
    ),
    Gauge(
        "lbproxy_fleet_replicas",
        _FLEET,
        "Balancers of the fleet, with this one",
        _fleet(lambda f: sum(one["gone"] is None for one in f["replicas"])),
    ),
    Gauge(
        "lbproxy_fleet_replicas_differing",
        (*_FLEET, "what"),
        "Those of another version, configuration or secret than most",
        _differing,
    ),
    Gauge(
        "lbproxy_fleet_tickets_shared",
        _FLEET,
        "1 while TLS sessions of clients resume on every replica that has the same secret; only with a secret_file",
        _tickets,
    ),
    Gauge(
        "lbproxy_fleet_orders",
        _FLEET,
        "Backends that operators have ordered something of",
        _fleet(lambda f: len(f["orders"])),
    ),
    Gauge(
        "lbproxy_fleet_orders_here_only",
        _FLEET,
        "Those of them whose orders hold on this balancer only, since etcd does not have them yet",
        _fleet(lambda f: sum(bool(one["here_only"]) for one in f["orders"])),
    ),
    Gauge(
        "lbproxy_fleet_values_ignored",
        _FLEET,
        "Values in etcd that this balancer does not understand, and leaves alone",
        _fleet(lambda f: len(f["ignored"])),
    ),
)
