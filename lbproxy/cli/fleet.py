"""`lbproxy fleet`: which balancers share this fleet, and how are they?"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lbproxy.cli import config_option
from lbproxy.cli.console import output, plain
from lbproxy.cli.options import admin_bind, admin_option
from lbproxy.cli.wording import duration, fleet_state
from lbproxy.config import Address
from lbproxy.control.admin.client import fetch_status
from lbproxy.control.fleet.views import (
    FleetView,
    GivenView,
    OrderView,
    ReplicaDifferenceView,
    ReplicaView,
    RolloutView,
    TicketsView,
)
from lbproxy.errors import AdminError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


@click.command("fleet")
@config_option
@admin_option
@click.option("--json", "as_json", is_flag=True, help="Print all of it as one JSON object.")
def command(path: Path, admin: Address | None, as_json: bool) -> None:
    """Show the balancers of this one's fleet, who differs in version, configuration or secret, and all orders.

    The exit status is 0, and 1 if the balancer is not running or is in no fleet.
    """
    view = fetch_status(admin_bind(path, admin))["fleet"]
    if view is None:
        raise AdminError("this balancer is in no fleet: its configuration has no [fleet]")
    if as_json:
        click.echo(json.dumps(view, indent=2))
        return
    console = output()
    for part in page(view, time.time()):
        console.print(part, soft_wrap=isinstance(part, str))


def page(view: FleetView, now: float) -> Iterator[RenderableType]:
    """All of it for people; `now` in seconds since the epoch."""
    yield plain(fleet_state(view, now))
    yield ""
    yield _replicas(view, now)
    for one in view["replicas"]:
        for difference in one["differs"]:
            yield plain(f"  {one['name']}: {differs(difference, now)}")
    if view["tickets"] is not None:
        yield plain(_tickets(view["tickets"], now))
    yield from _orders(view["orders"], now)
    for rollout in view["rollouts"]:
        yield plain(f"rollout of pool {rollout['pool']}: {_rollout(rollout, now)}")
    for key, why in view["ignored"].items():
        yield plain(f"  {key} is left alone: {why}")


def differs(view: ReplicaDifferenceView, now: float) -> str:
    """How a replica is unlike the others, and for how long."""
    elsewhere = "the others have several" if view["elsewhere"] is None else f"most have {view['elsewhere']}"
    return f"{view['what']} {view['here']}, {elsewhere}, for {duration(max(0.0, now - view['since']))}"


def _tickets(view: TicketsView, now: float) -> str:
    if not view["shared"]:
        return f"TLS sessions resume on this replica only: {view['why']}"
    made = "" if view["made"] is None else f", made {duration(max(0.0, now - view['made']))} ago"
    return f"TLS sessions resume on every replica that has secret_file {view['secret']}: key {view['key']}{made}"


def _replicas(view: FleetView, now: float) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("replica", "state", "host", "version", "configuration", "serves", "backends", "up"):
        table.add_column(heading, overflow="fold")
    for one in view["replicas"]:
        table.add_row(*map(plain, _row(one, now)))
    return table


def _orders(orders: list[OrderView], now: float) -> Iterator[RenderableType]:
    if orders:
        yield ""
        yield "orders"
    for one in orders:
        given = "; ".join(f"{_given(field, it)}, {_when(it, now)}" for field, it in one["given"].items())
        yield plain(f"  {one['pool']}/{one['backend']}: {given}")
        if one["waits"]:
            yield plain("    there is no such backend here: the order waits for one")
        if one["here_only"]:
            yield plain(f"    applied here only: {one['here_only']}")


def _given(field: str, given: GivenView) -> str:
    value = given["value"]
    match field, value:
        case "drain", True:
            return "drained"
        case "drain", False:
            return "ready"
        case "member", [url, weight, standby]:
            return f"added at {url} with weight {weight}{', as a standby' if standby else ''}"
        case "member", None:
            return "removed"
    return f"{field} {'as its source says' if value is None else str(value).lower()}"


def _when(given: GivenView, now: float) -> str:
    by = f" by {given['by']}" if given["by"] else ""
    return f"{duration(max(0.0, now - given['at']))} ago{by} on {given['replica']}"


def _rollout(one: RolloutView, now: float) -> str:
    who = f"begun {duration(max(0.0, now - one['since']))} ago by {one['by']} on {one['replica']}"
    updated = f"updated: {', '.join(one['updated'])}" if one["updated"] else "none is updated yet"
    if one["held"]:
        return f"{who}, {updated}, now at {one['target']}"
    step = f", which {one['step']}" if one["step"] else ""
    return f"{who}, has stopped; {updated}. Go on with --from {one['target']}{step}"


def _row(one: ReplicaView, now: float) -> tuple[str, ...]:
    gone = one["gone"]
    state = one["state"] if gone is None else f"no answer for {duration(max(0.0, now - gone))}"
    backends = [
        f"{pool}: {', '.join(f'{count} {what}' for what, count in sorted(counted.items(), reverse=True)) or 'none'}"
        for pool, counted in one["backends"].items()
    ]
    return (
        f"{one['name']} (this one)" if one["this"] else one["name"],
        state,
        one["host"],
        one["version"],
        one["configuration"],
        " ".join(one["listeners"]),
        "; ".join(backends),
        duration(max(0.0, now - one["since"])),
    )
