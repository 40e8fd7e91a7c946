"""`lbproxy status`: what does the running balancer see?"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from math import floor
from pathlib import Path

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lbproxy.cli import config_option
from lbproxy.cli.compact import compact
from lbproxy.cli.complaints import complaints
from lbproxy.cli.console import output, plain
from lbproxy.cli.options import admin_bind, admin_option
from lbproxy.cli.trend import Trend
from lbproxy.cli.wording import duration, failed, fleet_state, refusals, share, size, state, time_of, title
from lbproxy.config import Address
from lbproxy.control.admin.client import fetch_status
from lbproxy.control.admin.sockets import Bind
from lbproxy.control.log.timestamp import timestamp
from lbproxy.control.snapshot import (
    ConfigurationView,
    ExpiryView,
    ListenerView,
    PoolView,
    ProbeView,
    Snapshot,
)
from lbproxy.errors import AdminError
from lbproxy.reasons import TABLE, Fault

_EVERY = 1.0  # seconds between two looks of --watch
_DAY = 86400  # seconds
_SOON = 14  # days


@click.command("status")
@config_option
@admin_option
@click.option("--pool", metavar="NAME", help="Show this pool alone.")
@click.option("--wide", is_flag=True, help="Show everything, in wide tables.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
@click.option(
    "--watch", is_flag=True, help="Look again every second, until interrupted, and show how the numbers went."
)
@click.option("--full", is_flag=True, help="With --watch: the same as --wide.")
def command(
    path: Path, admin: Address | None, pool: str | None, wide: bool, as_json: bool, watch: bool, full: bool
) -> None:
    """Show what the running balancer sees: its listeners, and the state of every backend.

    It shows as much as the terminal has room for, of every pool. 5xx, p50 and p99 are of the last minute: the part of
    the answers that were errors, and the time until answers began. The exit status is 0 if lbproxy answers, and 1 if it
    is not running.
    """
    if as_json and watch:
        raise click.UsageError("--json and --watch do not go together")
    if full and not watch:
        raise click.UsageError("--full has a meaning only with --watch; --wide shows everything")
    bind = admin_bind(path, admin)
    console = output()
    if watch:
        keep_showing(bind, console, full=full or wide, pool=pool)
        return
    snapshot = of_pool(fetch_status(bind), pool)
    if as_json:
        click.echo(json.dumps(snapshot, indent=2))
    else:
        console.print(
            page(snapshot) if wide else compact(snapshot, console.height - 1 if console.is_terminal else None)
        )


def of_pool(snapshot: Snapshot, pool: str | None) -> Snapshot:
    """With this pool alone, if it is not None. Raises AdminError if there is no such pool."""
    if pool is None:
        return snapshot
    found = [one for one in snapshot["pools"] if one["name"] == pool]
    if not found:
        raise AdminError(f"there is no pool {pool}; there is {', '.join(one['name'] for one in snapshot['pools'])}")
    return {**snapshot, "pools": found}


def keep_showing(
    bind: Bind, console: Console, every: float = _EVERY, full: bool = False, pool: str | None = None
) -> None:
    """Show what fits the terminal, or all of it, again and again, until the user interrupts.

    Raises AdminError when the balancer is gone, or has no such pool.
    """
    trend = Trend()
    with Live(console=console, auto_refresh=False, screen=True) as live:
        try:
            while True:
                snapshot = of_pool(fetch_status(bind), pool)
                trend.note(snapshot)
                live.update(page(snapshot) if full else compact(snapshot, console.height, trend), refresh=True)
                time.sleep(every)
        except KeyboardInterrupt:
            return


def page(snapshot: Snapshot) -> Group:
    """The snapshot for people."""
    parts: list[RenderableType] = [plain(title(snapshot)), *_configuration(snapshot["configuration"])]
    if openssl := snapshot.get("openssl"):  # of another version, perhaps
        parts.append(
            plain(f"{openssl['version']}, called {'directly' if openssl['direct'] else 'by the ssl of Python'}")
        )
    if snapshot["fleet"] is not None:
        parts.append(plain(fleet_state(snapshot["fleet"], time.time())))
    parts.append("")
    parts.append(_listeners(snapshot["listeners"]))
    parts += [failures for listener in snapshot["listeners"] if (failures := _failures(listener)) is not None]
    for pool in snapshot["pools"]:
        parts += ["", _backends(pool), _answers(pool), *complaints(pool)]
    if snapshot["expiries"]:
        parts += ["", _expiries(snapshot["expiries"])]
    refused = refusals(snapshot, time.time())
    if refused:
        parts += ["", Text("changed files that cannot be used", "red"), *(plain(f"  {one}") for one in refused)]
    return Group(*parts)


def _configuration(view: ConfigurationView) -> Iterator[Text]:
    """Which file is served, and if the last reload failed, why."""
    yield plain(f"{view['file']}, read at {timestamp(view['loaded'])}")
    last = view["last_reload"]
    if last is not None and not last["ok"]:
        yield Text(f"the last reload, at {timestamp(last['ended'])}, failed; what was read before is served:", "red")
        yield from (plain(f"  {problem}") for problem in last["problems"])


def _table(title: str, texts: Sequence[str], numbers: Sequence[str]) -> Table:
    """An empty table. In a narrow terminal texts are folded; numbers, in the columns after them, never are."""
    table = Table(title=plain(title), title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading in texts:
        table.add_column(heading, overflow="fold")
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _listeners(listeners: list[ListenerView]) -> Table:
    table = _table("listeners", ("name", "bind", "mode", "tls", "pool"), ("open", "accepted", "requests", "refused"))
    for listener in listeners:
        table.add_row(
            plain(listener["name"]),
            plain(listener["bind"]),
            listener["mode"],
            "yes" if listener["tls"] else "no",
            plain(listener["pool"]),
            str(listener["connections"]),
            str(listener["accepted"]),
            str(listener["requests"]),
            str(sum(listener["refused"].values())),
        )
    return table


def _failures(listener: ListenerView) -> Text | None:
    """A line for what went wrong with the listener's requests and connections since the start, most often first."""
    harmless = {label for label, reason in TABLE.items() if reason.fault is Fault.NOBODY}
    failed = {label: count for label, count in listener["ends"].items() if label not in harmless}
    if not failed:
        return None
    counted = sorted(failed.items(), key=lambda item: -item[1])
    return plain(f"  {listener['name']}: {', '.join(f'{count} {label}' for label, count in counted)}")


def _expiries(expiries: list[ExpiryView]) -> Table:
    table = _table("certificates and revocation lists", ("used by", "kind", "name", "expires"), ("days left",))
    for one in expiries:
        days = floor(one["left_seconds"] / _DAY)
        style = "red" if days < 0 else "yellow" if days < _SOON else ""
        table.add_row(
            plain(one["where"]), one["kind"], plain(one["name"]), one["expires"][:10], Text(str(days), style=style)
        )
    return table


def _answers(pool: PoolView) -> Table:
    """How long answers took to begin, of the last minute and the last ten; and sums since the start."""
    table = _table("", (" answers",), ("5xx", "p50", "p90", "p99", "10 min", "p99", "moved", "connects", "to", "from"))
    for backend in pool["backends"]:
        minute, ten = backend["recent"]["minute"], backend["recent"]["ten_minutes"]
        table.add_row(
            plain(f" {backend['name']}"),
            failed(minute),
            *map(time_of, (minute["p50"], minute["p90"], minute["p99"], ten["p50"], ten["p99"])),
            f"{backend['retried_from']}-{backend['retried_to']}",
            f"{backend['lanes_opened']}-{backend['connect_failures']}",
            size(backend["bytes_to"]),
            size(backend["bytes_from"]),
        )
    return table


def _backends(pool: PoolView) -> Table:
    table = _table(
        f"pool {pool['name']} (check {pool['check']}; when all are down: {pool['when_all_down']})",
        ("backend", "url", "probe"),
        ("state", "since", "share", "requests", "active", "errors", "lanes"),
    )
    total = sum(backend["requests"] for backend in pool["backends"])
    for backend in pool["backends"]:
        table.add_row(
            plain(backend["name"]),
            plain(backend["url"]),
            _probe(backend["probe"], backend["binds"]),
            state(backend),
            duration(backend["since_seconds"]),
            share(backend, total),
            str(backend["requests"]),
            str(backend["active"]),
            str(backend["errors"]),
            f"{backend['idle_lanes']}+{backend['private_lanes']}",
        )
    return table


def _probe(probe: ProbeView | None, binds: bool | None) -> Text:
    if probe is None:
        return Text("-")
    bound = "" if binds is None else f", binds: {'yes' if binds else 'no'}"
    text = plain(f"{probe['detail']}{bound}, {probe['took_seconds'] * 1000:.0f} ms")
    text.stylize(("yellow" if probe["reason"] else "") if probe["ok"] else "red")
    return text
