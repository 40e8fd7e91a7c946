"""The snapshot of a running balancer, made from the data path's own numbers."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping

from lbproxy import __version__
from lbproxy.balance import operators
from lbproxy.balance.backend import Backend
from lbproxy.balance.membership import FILE
from lbproxy.balance.orders import Order, Stamp
from lbproxy.config import Config
from lbproxy.control.access_log import AccessLog
from lbproxy.control.fleet.views import FleetView
from lbproxy.control.snapshot import (
    BackendInPool,
    BackendView,
    ListenerView,
    PoolView,
    ProtectionView,
    ShutOutView,
    Snapshot,
    StampView,
    WaitingOrderView,
)
from lbproxy.net.http.web import WebService
from lbproxy.net.listener.listener import Listener
from lbproxy.runtime.data_path import DataPath
from lbproxy.runtime.pool_control import PoolControl
from lbproxy.status.certificate_expiry import expiries
from lbproxy.status.counters import backend_counts, durations, handshakes, lag
from lbproxy.status.served import Served
from lbproxy.status.tls_files import tls_files


def snapshot(
    config: Config,
    data_path: DataPath,
    pool_controls: Mapping[str, PoolControl],
    access_log: AccessLog,
    served: Served,
    uptime: float,
    fleet: FleetView | None = None,
) -> Snapshot:
    """Everything, now; `uptime` in seconds."""
    ends: Counter[str] = Counter(data_path.lane_ends)
    for listener in data_path.listeners.values():
        ends.update(listener.ends)
    return {
        "version": __version__,
        "pid": served.origin.master,
        "generation": {"number": served.number, "pid": os.getpid()},
        "configuration": {
            "file": str(served.origin.file),
            "loaded": served.origin.loaded,
            "last_reload": served.last_reload,
        },
        "server_url": config.server_url,
        "state": served.shown,
        "uptime_seconds": uptime,
        "drain_timeout_seconds": config.drain_timeout,
        "listeners": [_listener(config, listener) for listener in data_path.listeners.values()],
        "pools": [_pool(config, pool_control) for pool_control in pool_controls.values()],
        "expiries": expiries(config, data_path, time.time()),
        "tls_files": tls_files(data_path),
        "ends": dict(ends),
        "request_seconds": durations(data_path.listeners.values()),
        "loop_lag": lag(data_path),
        "access_log": {"written": access_log.written, "dropped": access_log.dropped},
        "fleet": fleet,
    }


def in_pool(pool_control: PoolControl, backend: Backend) -> BackendInPool:
    """One backend of the link's pool, now."""
    return {"pool": pool_control.pool.name, "backend": _backend(backend, pool_control, time.monotonic())}


def _listener(config: Config, listener: Listener) -> ListenerView:
    options = config.listeners[listener.name]
    return {
        "name": listener.name,
        "bind": str(options.bind),
        "mode": options.mode,
        "tls": options.tls is not None,
        "pool": " ".join(options.pools),
        "connections": len(listener.connections),
        "accepted": listener.accepted,
        "accept_pauses": listener.pauses,
        "requests": listener.service.requests,
        "refused": dict(listener.refused),
        "ends": listener.ends,
        "tls_handshakes": handshakes(listener),
        "shut_out": _shut_out(listener),
    }


def _shut_out(listener: Listener) -> ShutOutView | None:
    tls = listener.service.tls if isinstance(listener.service, WebService) else None
    found = None if tls is None else tls.shut_out(time.time())
    return None if found is None else {"authorities": list(found.authorities), "everybody": found.everybody}


def _pool(config: Config, pool_control: PoolControl) -> PoolView:
    now = time.monotonic()
    serves = config.worker_count == 1  # or only the workers have requests to send again
    budget = pool_control.pool.retry_budget
    return {
        "name": pool_control.pool.name,
        "check": pool_control.check,
        "retry_budget": {"used": budget.used, "limit": budget.limit if serves else 0},
        "when_all_down": pool_control.pool.when_all_down,
        "ready_when_all_down": config.pools[pool_control.pool.name].ready_when_all_down,
        "refused": {source: list(why) for source, why in pool_control.pool.membership.refused.items()},
        "waiting_orders": [_waiting(name, order) for name, order in operators.waiting(pool_control.pool).items()],
        "tickets": pool_control.probes.tickets_view(),
        "consistency": None if pool_control.guard is None else pool_control.guard.view(),
        "discovery": [discovery.view() for discovery in pool_control.discoveries],
        "backends": [_backend(backend, pool_control, now) for backend in pool_control.pool.backends],
    }


def _backend(backend: Backend, pool_control: PoolControl, now: float) -> BackendView:
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
        **backend_counts(backend),
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
