"""`lbproxy connections`: which clients are connected, and what do they wait for?"""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Group
from rich.table import Table

from lbproxy.cli import config_option
from lbproxy.cli.console import output, plain
from lbproxy.cli.options import admin_bind, admin_option
from lbproxy.cli.wording import duration, size
from lbproxy.config import Address
from lbproxy.control.admin.client import fetch_connections
from lbproxy.control.live_connections import DEFAULT_LIMIT, MAX_LIMIT, WAITS_FOR, ConnectionsView, ConnectionView


@click.command("connections")
@config_option
@admin_option
@click.option("--pool", default="", metavar="NAME", help="Those for this pool.")
@click.option(
    "--backend", default="", metavar="NAME", help="Those that have a connection to it now; NAME or POOL/NAME."
)
@click.option("--user", default="", metavar="TEXT", help="Those of certificates whose subject has this in it.")
@click.option("--address", default="", metavar="ADDRESS", help="Those from this address, or network.")
@click.option("--newest", is_flag=True, help="The newest first, and not those that are open for longest.")
@click.option(
    "--limit", type=click.IntRange(1, MAX_LIMIT), default=DEFAULT_LIMIT, show_default=True, metavar="N",
    help="At most so many.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print them as one JSON object.")
def command(
    path: Path,
    admin: Address | None,
    pool: str,
    backend: str,
    user: str,
    address: str,
    newest: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Show the client connections that are open: since when, from where, and what each waits for.

    The user is the subject of the client's certificate; that of a Kerberos ticket is not known to lbproxy.
    """
    asked = {"pool": pool, "backend": backend, "user": user, "address": address, "limit": str(limit)}
    found = fetch_connections(admin_bind(path, admin), asked | {"order": "newest" if newest else "longest"})
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        output().print(page(found, newest))


def page(found: ConnectionsView, newest: bool) -> Group:
    """For people."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("id", "from", "user", "to", "waits for", "backends"):
        table.add_column(heading, overflow="fold")
    for heading in ("open", "requests", "in", "out"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in found["connections"]:
        table.add_row(
            *map(
                plain,
                (
                    one["id"],
                    one["address"],
                    one["user"],
                    f"{one['listener']}, {one['pool']}",
                    _waits_for(one),
                    _lanes(one),
                ),
            ),
            duration(one["age_seconds"]),
            str(one["requests"]),
            size(one["bytes_in"]),
            size(one["bytes_out"]),
        )
    return Group(*([table] if found["connections"] else ()), *map(plain, _summary(found, newest)))


def _waits_for(one: ConnectionView) -> str:
    busy = "" if one["busy_seconds"] is None or one["phase"] == "tunnel" else f", for {duration(one['busy_seconds'])}"
    return f"{WAITS_FOR[one['phase']]}{busy}"


def _lanes(one: ConnectionView) -> str:
    return ", ".join(f"{lane['backend']}{' (its own)' if lane['private'] else ''}" for lane in one["lanes"])


def _summary(found: ConnectionsView, newest: bool) -> list[str]:
    shown, matched = len(found["connections"]), found["matched"]
    of_all = f" of {found['open']}" if matched < found["open"] else ""
    lines = [f"{matched}{of_all} connection{'s' * (found['open'] != 1)}"]
    if shown < matched:
        lines[0] += f"; {'the newest' if newest else 'those open for longest'} {shown} are shown, --limit shows more"
    if found["handshakes"]:
        lines.append(f"{found['handshakes']} of the open ones have not finished their TLS handshake or PROXY header")
    if found["unanswered"]:
        lines.append(f"{found['unanswered']} workers have not answered in time: theirs are missing")
    return lines
