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
from lbproxy.cli.console import output, plain
from lbproxy.cli.options import admin_bind, admin_option
from lbproxy.cli.wording import discovery, duration, fleet_state, refusals, said, share, state, title, waiting_order
from lbproxy.config import Address
from lbproxy.control.admin.client import fetch_status
from lbproxy.control.admin.sockets import Bind
from lbproxy.control.log.timestamp import timestamp
from lbproxy.control.snapshot import (
    BackendView,
    ConfigurationView,
    ExpiryView,
    ListenerView,
    PoolView,
    ProbeView,
    Snapshot,
)
from lbproxy.reasons import TABLE, Fault

_EVERY = 1.0  # seconds between two looks of --watch
_DAY = 86400  # seconds
_SOON = 14  # days


@click.command("status")
@config_option
@admin_option
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
@click.option(
    "--watch", is_flag=True,
    help="Look again every second, until interrupted; shows as much as the terminal has room for, of every pool.",
)  # fmt: skip
@click.option("--full", is_flag=True, help="With --watch: everything, though the terminal may cut it off.")
def command(path: Path, admin: Address | None, as_json: bool, watch: bool, full: bool) -> None:
    """Show what the running balancer sees: its listeners, and the state of every backend.

    The exit status is 0 if it answers, and 1 if it is not running.
    """
    if as_json and watch:
        raise click.UsageError("--json and --watch do not go together")
    if full and not watch:
        raise click.UsageError("--full has a meaning only with --watch: without it, everything is shown")
    bind = admin_bind(path, admin)
    if as_json:
        click.echo(json.dumps(fetch_status(bind), indent=2))
        return
    console = output()
    if watch:
        keep_showing(bind, console, full=full)
    else:
        console.print(page(fetch_status(bind)))


def keep_showing(bind: Bind, console: Console, every: float = _EVERY, full: bool = False) -> None:
    """Show what fits the terminal, or all of it, again and again, until the user interrupts.

    Raises AdminError when the balancer is gone.
    """
    with Live(console=console, auto_refresh=False, screen=True) as live:
        try:
            while True:
                snapshot = fetch_status(bind)
                live.update(page(snapshot) if full else compact(snapshot, console.height), refresh=True)
                time.sleep(every)
        except KeyboardInterrupt:
            return


def page(snapshot: Snapshot) -> Group:
    """The snapshot for people."""
    parts: list[RenderableType] = [plain(title(snapshot)), *_configuration(snapshot["configuration"])]
    if snapshot["fleet"] is not None:
        parts.append(plain(fleet_state(snapshot["fleet"], time.time())))
    parts.append("")
    parts.append(_listeners(snapshot["listeners"]))
    parts += [failures for listener in snapshot["listeners"] if (failures := _failures(listener)) is not None]
    for pool in snapshot["pools"]:
        parts += ["", _backends(pool), *_complaints(pool)]
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


def _complaints(pool: PoolView) -> Iterator[Text]:
    """A line for what is wrong with the pool's tickets, what its sources may not have, and what is to say of a backend.

    That is what operators said of it, why it is down, and how it is unlike the others.
    """
    tickets = pool["tickets"]
    if tickets is not None and tickets["reason_text"] is not None:
        since = duration(tickets["since_seconds"])
        yield plain(f"  kerberos, for {since}: {tickets['reason_text']} ({tickets['detail']})")
    yield from (plain(f"  {line}") for source in pool["discovery"] for line in discovery(source))
    if pool["consistency"] is not None and pool["consistency"]["updating"]:
        yield plain(
            "  an update is under way: until all are alike, nobody else is kept out for being unlike the others"
        )
    for source, sentences in pool["refused"].items():
        yield from (plain(f"  refused, from {source}: {sentence}") for sentence in sentences)
    yield from (plain(f"  {waiting_order(order, time.time())}") for order in pool["waiting_orders"])
    for backend in pool["backends"]:
        if told := said(backend, time.time()):
            yield plain(f"  {backend['name']}: {told}")
        why = ": ".join(part for part in (backend["reason_text"], backend["detail"]) if part)
        if why:
            yield plain(f"  {backend['name']}: {why}")
        yield from _differences(pool, backend)
        protection = backend["extended_protection"]
        if protection is not None:
            yield plain(f"  {backend['name']}: extended protection {protection['verdict']}: {protection['text']}")


def _differences(pool: PoolView, backend: BackendView) -> Iterator[Text]:
    """What the consistency guard has found of a backend, and what it could not find out."""
    name = backend["name"]
    differences = [] if pool["consistency"] is None else pool["consistency"]["differences"]
    unlike = "; ".join(one["backends"][name] for one in differences if name in one["backends"])
    if backend["inconsistent"]:
        yield plain(f"  {name}: kept out, unlike the others: {unlike or backend['inconsistent']}")
    elif unlike:
        yield plain(f"  {name}: unlike the others: {unlike}")
    for fact, why in backend["unknown_facts"].items():
        yield plain(f"  {name}: {fact} is not known: {why}")


def _probe(probe: ProbeView | None, binds: bool | None) -> Text:
    if probe is None:
        return Text("-")
    bound = "" if binds is None else f", binds: {'yes' if binds else 'no'}"
    text = plain(f"{probe['detail']}{bound}, {probe['took_seconds'] * 1000:.0f} ms")
    text.stylize(("yellow" if probe["reason"] else "") if probe["ok"] else "red")
    return text
