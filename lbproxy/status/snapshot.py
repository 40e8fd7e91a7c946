"""The snapshot of a running balancer: the model, with what all processes have counted."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Mapping, Sequence
from functools import cache

from lbproxy import __version__
from lbproxy import config as settings
from lbproxy.balance import operators
from lbproxy.balance.backend import Backend
from lbproxy.balance.membership import FILE
from lbproxy.balance.orders import Order, Stamp
from lbproxy.config import Config
from lbproxy.control.fleet.views import FleetView, RolloutView
from lbproxy.control.snapshot import (
    BackendInPool,
    BackendView,
    ConfigurationView,
    ListenerView,
    OpenSslView,
    PoolView,
    ProtectionView,
    Snapshot,
    StampView,
    WaitingOrderView,
)
from lbproxy.net.tls.openssl import is_direct
from lbproxy.runtime.pool_control import PoolControl
from lbproxy.status.certificate_expiry import expiries
from lbproxy.status.counters import (
    Counters,
    access_log_view,
    backend_view,
    budget_view,
    departed,
    durations_view,
    key,
    lag_view,
    listener_view,
    log_lines_view,
    of_backend_alone,
    tracing_view,
)
from lbproxy.status.outliers import outliers
from lbproxy.status.served import Served
from lbproxy.status.tls_report import TlsReport
from lbproxy.status.windows import NOTHING_RECENT, Windows


def snapshot(
    config: Config,
    pool_controls: Mapping[str, PoolControl],
    served: Served,
    uptime: float,
    counted: Counters,
    tls: TlsReport,
    windows: Windows | None,
    fleet: FleetView | None = None,
    rollouts: Sequence[RolloutView] = (),
) -> Snapshot:
    """Everything, now; `uptime` in seconds. counted, tls: those of all processes together.

    No windows: nothing is recent, and no backend stands out. rollouts: those that this balancer knows by itself.
    """
    return {
        "version": __version__,
        "pid": served.origin.master,
        "generation": {"number": served.number, "pid": os.getpid()},
        "openssl": _openssl(),
        "configuration": _configuration(served),
        "server_url": config.server_url,
        "state": served.shown,
        "uptime_seconds": uptime,
        "drain_timeout_seconds": config.drain_timeout,
        "listeners": [_listener(name, options, counted, tls) for name, options in config.listeners.items()],
        "pools": [_pool(config, pool_control, counted, windows) for pool_control in pool_controls.values()],
        "expiries": expiries(tls["endings"], time.time()),
        "tls_files": tls["files"],
        "ends": counted.get("ends", {}),
        "request_seconds": durations_view(counted.get("request_seconds", {})),
        "loop_lag": lag_view(counted),
        "access_log": access_log_view(counted),
        "log_lines": log_lines_view(counted),
        "tracing": tracing_view(counted),
        "log": served.log,
        "fleet": fleet,
        "rollouts": [*rollouts] if fleet is None else fleet["rollouts"],
    }


def in_pool(
    pool_control: PoolControl, backend: Backend, counted: Counters, windows: Windows | None = None
) -> BackendInPool:
    """One backend of a pool, now. counted: what all processes have counted of it. No windows: nothing is recent."""
    view = _backend(backend, pool_control, time.monotonic(), counted, windows)
    return {"pool": pool_control.pool.name, "backend": view}


def _configuration(served: Served) -> ConfigurationView:
    return {"file": str(served.origin.file), "loaded": served.origin.loaded, "last_reload": served.last_reload}


@cache
def _openssl() -> OpenSslView:
    return {"version": ssl.OPENSSL_VERSION, "direct": is_direct()}


def _listener(name: str, options: settings.Listener, counted: Counters, tls: TlsReport) -> ListenerView:
    return {
        "name": name,
        "bind": str(options.bind),
        "mode": options.mode,
        "tls": options.tls is not None,
        "pool": " ".join(options.pools),
        **listener_view(counted, name, tls=options.tls is not None),
        "shut_out": tls["shut_out"].get(name),
    }


def _pool(config: Config, pool_control: PoolControl, counted: Counters, windows: Windows | None) -> PoolView:
    now = time.monotonic()
    pool = pool_control.pool
    backends = [
        _backend(one, pool_control, now, of_backend_alone(counted, key(pool, one)), windows) for one in pool.backends
    ]
    return {
        "name": pool.name,
        "check": pool_control.check,
        "retry_budget": budget_view(counted, pool.name),
        "when_all_down": pool.when_all_down,
        "ready_when_all_down": config.pools[pool.name].ready_when_all_down,
        "refused": {source: list(why) for source, why in pool.membership.refused.items()},
        "waiting_orders": [_waiting(name, order) for name, order in operators.waiting(pool).items()],
        "departed": departed(counted, pool.name),
        "tickets": pool_control.probes.tickets_view(),
        "consistency": None if pool_control.guard is None else pool_control.guard.view(),
        "discovery": [discovery.view() for discovery in pool_control.discoveries],
        "outliers": outliers({one["name"]: one["recent"] for one in backends}),
        "backends": backends,
    }


def _backend(
    backend: Backend, pool_control: PoolControl, now: float, counted: Counters, windows: Windows | None
) -> BackendView:
    reason = backend.reason
    added = pool_control.pool.membership.added(backend.source, backend.name)
    return {
        "name": backend.name,
        "url": backend.url,
        "state": backend.state.value,
        "draining": backend.draining,
        "in_rotation": backend.in_rotation,
        "weight": backend.weight,
        "ramp": backend.ramp,
        "standby": backend.standby,
        "source": backend.source,
        "check_url": pool_control.check_urls.get(backend.name) if backend.source == FILE else None,
        "added": None if added is None else _stamp(added),
        "ordered": _stamps(pool_control.pool.ordered(backend.name)),
        "held_seconds": max(0.0, backend.held_until - now),
        "inconsistent": backend.inconsistent,
        "since_seconds": now - backend.since,
        "reason": None if reason is None else reason.label,
        "reason_text": None if reason is None else reason.text,
        "detail": backend.detail,
        **backend_view(counted, tls=backend.scheme == "https"),
        "recent": NOTHING_RECENT if windows is None else windows.of(pool_control.pool, backend, counted, now),
        "probe": pool_control.prober.view(backend.name),
        "binds": pool_control.probes.binds(backend.name),
        "facts": {} if pool_control.guard is None else pool_control.guard.facts(backend.name),
        "unknown_facts": {} if pool_control.guard is None else pool_control.guard.troubles(backend.name),
        "extended_protection": _protection(pool_control, backend),
    }


def _waiting(name: str, order: Order) -> WaitingOrderView:
    return {
        "name": name,
        "draining": order.drain,
        "weight": order.weight,
        "standby": order.standby,
        "ordered": _stamps(order),
    }


def _stamps(order: Order) -> dict[str, StampView]:
    return {what: _stamp(stamp) for what, stamp in order.stamps.items()}


def _stamp(stamp: Stamp) -> StampView:
    return {"by": stamp.by, "at": stamp.at}


def _protection(pool_control: PoolControl, backend: Backend) -> ProtectionView | None:
    finding = pool_control.protection.get(backend.name)
    return None if finding is None else {"verdict": finding.label, "text": finding.text}
