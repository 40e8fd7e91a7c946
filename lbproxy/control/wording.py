"""What the snapshot says, in words: for the commands and for the dashboard."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from lbproxy.control.fleet.views import ONE_AT_A_TIME, FleetView, RolloutView
from lbproxy.control.snapshot import (
    BackendView,
    DiscoveryView,
    InstanceView,
    Snapshot,
    StampView,
    WaitingOrderView,
    WindowView,
)
from lbproxy.control.waits import time_of as waits_time


def title(snapshot: Snapshot) -> str:
    """The balancer as a whole. Its process id is the one that signals go to."""
    return (
        f"{snapshot['server_url']}: {snapshot['state']}, lbproxy {snapshot['version']}, pid {snapshot['pid']},"
        f" up {duration(snapshot['uptime_seconds'])}"
    )


def refusals(snapshot: Snapshot, now: float) -> list[str]:
    """A sentence for each table of the configuration whose files of TLS cannot be used as they are now."""
    return [
        f"{one['where']}, for {duration(max(0.0, now - one['refused']['since']))}: {one['refused']['why']};"
        " what was read before is in use"
        for one in snapshot["tls_files"]
        if one["refused"] is not None
    ]


def discovery(view: DiscoveryView) -> Iterator[str]:
    """What is known of one source of a pool's backends: a line, and one for each record that is left out."""
    how = f"discovery {view['source']} ({view['where']}): {view['members']} backends"
    if view["error"] is not None:
        yield f"{how}, failing for {duration(view['stale_seconds'])}: {view['error']}"
    elif view["age_seconds"] is None:
        yield f"{how}, no answer yet"
    else:
        doubt = f"; {view['doubt']}" if view["doubt"] else ""
        yield f"{how}, answered {duration(view['age_seconds'])} ago{doubt}"
    yield from (f"left out: {sentence}" for sentence in view["left_out"])


def here_only(instance: InstanceView) -> str:
    """Says so if an order did not reach the other balancers of the fleet; else empty."""
    fleet = instance["fleet"]
    return f"applied here only: {fleet['here_only']}" if fleet is not None and fleet["here_only"] else ""


def fleet_state(view: FleetView, now: float) -> str:
    """What this balancer is to its fleet, how many are in it, and for how long etcd has not answered, if it does not.

    now: seconds since the epoch.
    """
    membership = view["membership"]
    if membership == "name taken":
        membership = f"no member, since another balancer has the name ({view['other']})"
    elif membership == "read-only":
        membership = "no member, since etcd lets it only read"
    live = sum(one["gone"] is None for one in view["replicas"])
    parts = [f"fleet {view['name']}, here as {view['replica']}: {membership}", f"{live} replica{'s' * (live != 1)}"]
    if view["unreachable_since"] is not None:
        parts.append(f"etcd out of reach for {duration(max(0.0, now - view['unreachable_since']))}: {view['error']}")
    return "; ".join(parts)


def duration(seconds: float) -> str:
    """Seconds in the two units that matter: 42s, 3m 20s, 2h 5m, 12d 1h."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole // 60 % 60}m"
    return f"{whole // 86400}d {whole // 3600 % 24}h"


def size(count: int) -> str:
    """Bytes in the unit that leaves up to four digits: 812, 9.1k, 12M."""
    number = float(count)
    for unit in ("", "k", "M", "G"):
        if number < 1000:
            return f"{number:.1f}{unit}" if unit and number < 10 else f"{number:.0f}{unit}"
        number /= 1000
    return f"{number:.0f}T"


def share(backend: BackendView, total: int) -> str:
    """The backend's part of the `total` requests of its pool."""
    return f"{backend['requests'] / total:.1%}" if total else "-"


def failed(window: WindowView) -> str:
    """The part of the answers that were 5xx; "-" if there was no answer."""
    return f"{100 * window['server_errors'] / window['answers']:.0f}%" if window["answers"] else "-"


def time_of(seconds: float | None) -> str:
    """With its unit; "-" if it is not known."""
    return "-" if seconds is None else waits_time(seconds)


def waits(backend: BackendView) -> bool:
    """Whether it is a standby that could serve, and need not: that is no trouble."""
    return (
        backend["standby"]
        and backend["state"] == "up"
        and not (backend["in_rotation"] or backend["draining"] or backend["inconsistent"])
        and backend["weight"] > 0
    )


def said(backend: BackendView, now: float) -> str:
    """What operators said of it, and when: "added at 12:03 by root; weight 3 since 12:05 by olga"; else empty.

    now: seconds since the epoch, as a time of another day has its date.
    """
    added = [] if backend["added"] is None else [f"added at {_when(backend['added'], now)}"]
    return "; ".join([*added, *_ordered(backend, now)])


def waiting_order(order: WaitingOrderView, now: float) -> str:
    """What waits for a backend of a name: "no backend is called c9; ordered for it: draining since 12:03 by root"."""
    found = "; ".join(_ordered(order, now)) or "draining"  # of a version that did not note who ordered it
    return f"no backend is called {order['name']}; ordered for it: {found}"


def _ordered(view: BackendView | WaitingOrderView, now: float) -> Iterator[str]:
    texts = {
        "weight": f"weight {view['weight']}",
        "standby": "standby" if view["standby"] else "no standby",
        "drain": "draining",
    }
    yield from (f"{texts[what]} since {_when(stamp, now)}" for what, stamp in view["ordered"].items() if stamp["by"])


def _when(stamp: StampView, now: float) -> str:
    at = datetime.fromtimestamp(stamp["at"])
    today = at.date() == datetime.fromtimestamp(now).date()
    return f"{at:{'%H:%M' if today else '%Y-%m-%d %H:%M'}} by {stamp['by']}"


def begun_by(rollout: RolloutView) -> str:
    """Who has begun it, and in a fleet on which replica."""
    return f"{rollout['by']} on {rollout['replica']}" if rollout["replica"] else rollout["by"]


def has_the_pool(rollout: RolloutView) -> str:
    """Why no other rollout of its pool may begin."""
    at = f", at {rollout['target']}" if rollout["target"] else ""
    return f"{begun_by(rollout)} rolls out pool {rollout['pool']} already{at}; {ONE_AT_A_TIME}"
