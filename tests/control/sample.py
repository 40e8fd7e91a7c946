"""What a running balancer might hand to the control plane: a snapshot, and a record for the access log."""

from __future__ import annotations

from typing import Any, Literal, cast

from lbproxy.control.fleet.views import FleetView, OrderView, ReplicaView
from lbproxy.control.snapshot import (
    BackendView,
    DiscoveryView,
    ExpiryView,
    InstanceView,
    PoolView,
    Snapshot,
    TicketView,
    WindowView,
)
from lbproxy.record import Record


def window(seconds: float = 60.0, answers: int = 10) -> WindowView:
    return {
        "seconds": seconds,
        "answers": answers,
        "server_errors": answers // 10,
        "p50": 0.012,
        "p90": 0.1,
        "p99": 0.8,
    }


def backend(name: str) -> BackendView:
    """A healthy backend that has answered ten requests."""
    return {
        "name": name,
        "url": f"http://10.0.0.1:4000/{name}",
        "state": "up",
        "draining": False,
        "in_rotation": True,
        "weight": 1,
        "ramp": 1.0,
        "standby": False,
        "source": "file",
        "check_url": None,
        "added": None,
        "ordered": {},
        "held_seconds": 0.0,
        "inconsistent": "",
        "since_seconds": 200.0,
        "reason": None,
        "reason_text": None,
        "detail": "",
        "requests": 10,
        "active": 1,
        "errors": 2,
        "ejections": 3,
        "lanes_opened": 4,
        "connect_failures": 5,
        "retried_from": 6,
        "retried_to": 2,
        "bytes_to": 9000,
        "bytes_from": 70000,
        "first_byte": {"below": {"0.014": 8, "0.896": 2}, "sum": 1.8},
        "idle_lanes": 7,
        "private_lanes": 8,
        "tunnels": 0,
        "tls_handshakes": None,
        "responses": {"1xx": 0, "2xx": 7, "3xx": 1, "4xx": 2, "5xx": 0},
        "recent": {"minute": window(), "ten_minutes": window(600.0, 20)},
        "probe": {"ok": True, "detail": "401", "reason": None, "took_seconds": 0.003, "age_seconds": 1.5},
        "binds": None,
        "facts": {},
        "unknown_facts": {},
        "extended_protection": None,
    }


def dead_backend(name: str) -> BackendView:
    """A backend that refuses connections."""
    return backend(name) | {
        "state": "down",
        "in_rotation": False,
        "since_seconds": 12.0,
        "reason": "connect_refused",
        "reason_text": "the backend refused the connection",
        "detail": "connection refused",
        "tls_handshakes": {"full": 4, "resumed": 2, "failed": 1},
        "probe": {
            "ok": False,
            "detail": "connection refused",
            "reason": None,
            "took_seconds": 0.001,
            "age_seconds": 0.2,
        },
    }


ONE: InstanceView = {
    "pool": "connectors",
    "backend": backend("c1"),
    "others": [],
    "fleet": None,
    "killed_generations": 0,
}
"""An instance in one pool."""

TWO: InstanceView = {**ONE, "others": [{"pool": "raw", "backend": dead_backend("c1")}]}
"""The same in a second pool, where it refuses connections."""


def new_backend(name: str) -> BackendView:
    """A backend that was not probed yet."""
    return backend(name) | {"state": "new", "in_rotation": False, "requests": 0, "probe": None}


def refusing_backend(name: str) -> BackendView:
    """A backend that a kerberos probe could not sign in at; it had found before that it binds."""
    return dead_backend(name) | {
        "binds": True,
        "probe": {
            "ok": False,
            "detail": "it refuses a fresh ticket (401)",
            "reason": "connector_key",
            "took_seconds": 0.002,
            "age_seconds": 0.2,
        },
    }


def pool(name: str, *backends: BackendView) -> PoolView:
    return {
        "name": name,
        "check": "http",
        "retry_budget": {"used": 2, "limit": 135},
        "when_all_down": "try",
        "ready_when_all_down": False,
        "refused": {},
        "waiting_orders": [],
        "departed": {},
        "outliers": {},
        "tickets": None,
        "consistency": None,
        "discovery": [],
        "backends": list(backends),
    }


def guarded_pool(name: str) -> PoolView:
    """Three connectors that are compared: one has another version and is kept out, one does not tell its address."""
    text = "version is 1.7.9, most have 1.8.0"
    right: dict[str, str | None] = {"version": "1.8.0", "address": "https://login.corp.example"}
    silent = backend("g2") | {
        "facts": right | {"address": None},
        "unknown_facts": {"address": "no answer within 1 s"},
    }
    old = backend("g3") | {"facts": right | {"version": "1.7.9"}, "inconsistent": text, "in_rotation": False}
    return pool(name, backend("g1") | {"facts": right}, silent, old) | {
        "consistency": {
            "policy": "eject-minority",
            "updating": False,
            "differences": [{"fact": "version", "reference": "1.8.0", "expected": False, "backends": {"g3": text}}],
        }
    }


def discovered_pool(name: str) -> PoolView:
    """One source is sound, the other one fails; one backend is refused."""
    dns: DiscoveryView = {
        "source": "dns",
        "where": "A, AAAA connectors.test. port 4000",
        "members": 2,
        "age_seconds": 3.0,
        "stale_seconds": 0.0,
        "error": None,
        "doubt": "the answer is empty; it counts after 30 s",
        "left_out": ["x.test:80: x.test has no address"],
    }
    listed: DiscoveryView = {
        "source": "file-list",
        "where": "/etc/lbproxy/backends.json",
        "members": 1,
        "age_seconds": None,
        "stale_seconds": 63.0,
        "error": "/etc/lbproxy/backends.json: it is not JSON",
        "doubt": None,
        "left_out": [],
    }
    return pool(name, backend("d1"), backend("d2")) | {"discovery": [dns, listed]}


def kerberos_pool(name: str) -> PoolView:
    """A pool with a kerberos check, two backends and a KDC that is away."""
    tickets: TicketView = {
        "reason": "kdc_unreachable",
        "reason_text": "no KDC of the realm answers",
        "detail": "no answer within 0.5 s",
        "since_seconds": 63.0,
    }
    healthy = backend("k1") | {"binds": False}
    return pool(name, healthy, refusing_backend("k2")) | {
        "check": "kerberos",
        "tickets": tickets,
        "refused": {"dns": ["k9: weight is 101, it must be 0 to 100"]},
    }


def expiry(kind: Literal["certificate", "crl"], name: str, days: float) -> ExpiryView:
    """Something of the listener `login` that ends in so many days."""
    return {
        "where": "listener.login.tls",
        "kind": kind,
        "path": f"/etc/lbproxy/{kind}.pem",
        "name": name,
        "expires": "2027-02-19T00:00:00.000Z",
        "left_seconds": days * 86400,
    }


def snapshot() -> Snapshot:
    """One listener, three backends, one of them down."""
    return {
        "version": "0.1.0",
        "pid": 4711,
        "generation": {"number": 3, "pid": 4720},
        "openssl": {"version": "OpenSSL 3.0.20 1 Jan 2026", "direct": True},
        "configuration": {"file": "/etc/lbproxy/lbproxy.toml", "loaded": 1795246800.5, "last_reload": None},
        "server_url": "https://login.corp.example",
        "state": "serving",
        "uptime_seconds": 7500.5,
        "drain_timeout_seconds": 30.0,
        "listeners": [
            {
                "name": "login",
                "bind": "0.0.0.0:443",
                "mode": "http",
                "tls": True,
                "pool": "connectors",
                "connections": 12,
                "accept_pauses": 2,
                "accepted": 345,
                "requests": 678,
                "refused": {"not_allowed": 3, "misdirected": 6},
                "ends": {"done": 600, "client_gone": 2, "client_cert_refused": 4, "tls_failed": 11},
                "tls_handshakes": {"full": 300, "resumed": 45, "failed": 11},
                "shut_out": None,
            }
        ],
        "pools": [pool("connectors", backend("c1"), dead_backend("c2"), new_backend("c3"))],
        "expiries": [expiry("certificate", "CN=login", 90.5), expiry("crl", "CN=Users CA", 6.25)],
        "tls_files": [{"where": "listener.login.tls", "refused": None}],
        "ends": {"done": 600, "client_gone": 2},
        "loop_lag": {"seconds": {"buckets": [(0.005, 98), (0.01, 99)], "count": 100, "sum": 0.7}, "worst": 0.4},
        "request_seconds": {"buckets": [(0.005, 100), (0.5, 590)], "count": 602, "sum": 33.25},
        "access_log": {"written": 602, "dropped": 4},
        "log_lines": {"written": 30, "dropped": 2},
        "tracing": {"sampled": 17, "exported": 12, "dropped": 3},
        "log": {"level": "info", "until": None},
        "fleet": None,
        "rollouts": [],
    }


def replica(name: str, **changed: Any) -> ReplicaView:
    """A balancer of a fleet that serves, with what has `changed`."""
    view: ReplicaView = {
        "name": name,
        "this": name == "lb1",
        "host": f"{name}.corp.example",
        "version": "0.1.0",
        "configuration": "5f2b8c1a9d3e",
        "state": "serving",
        "since": 1795246700.0,
        "configured": 1795246700.0,
        "gone": None,
        "listeners": {"login": "connectors"},
        "backends": {"connectors": {"up": 2, "down": 1}},
        "differs": [],
    }
    return cast(ReplicaView, view | changed)


def ordered(**changed: Any) -> OrderView:
    """An operator's drain of c1, with what has `changed`."""
    view: OrderView = {
        "pool": "connectors",
        "backend": "c1",
        "given": {"drain": {"value": True, "by": "olga", "at": 1795246740.0, "replica": "lb2"}},
        "here_only": "",
        "waits": False,
    }
    return cast(OrderView, view | changed)


def fleet(*replicas: ReplicaView, **changed: Any) -> FleetView:
    """A fleet of `replicas`, of which lb1 is asked, with what has `changed`."""
    view: FleetView = {
        "name": "login-eu",
        "replica": "lb1",
        "membership": "member",
        "other": "",
        "unreachable_since": None,
        "error": "",
        "replicas": list(replicas or (replica("lb1"), replica("lb2"))),
        "orders": [],
        "rollouts": [],
        "tickets": None,
        "ignored": {},
    }
    return cast(FleetView, view | changed)


RECORD = Record(
    time=1795246800.123,
    listener="login",
    client="10.1.2.3:51234",
    method="GET",
    target="/wsfed?wa=wsignin1.0",
    host="login.corp.example",
    protocol="HTTP/1.1",
    status=200,
    bytes_in=912,
    bytes_out=4096,
    user_agent="Mozilla/5.0 (X11)",
    user="alice",
    backend="c1",
    lane="private",
    reused=True,
    tries=2,
    connect_ms=-1.0,
    first_byte_ms=2.1344,
    total_ms=2.5,
    reason="done",
    request_id="0af7651916cd43dd8448eb211c80319c",
    trace_id="",
)


def made(**changed: Any) -> Record:
    """RECORD, with what has `changed`."""
    return RECORD._replace(**changed)
