"""`lbproxy drain`: take one instance out of rotation."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lbproxy.cli import config_option
from lbproxy.cli.console import plain, progress, say
from lbproxy.cli.options import admin_bind, admin_option, seconds
from lbproxy.cli.wording import here_only
from lbproxy.config import Address
from lbproxy.control.admin.client import drain, fetch_instance, fetch_status
from lbproxy.control.admin.sockets import Bind
from lbproxy.control.draining import died, silent, unfinished, waited_for
from lbproxy.control.instance import members, order_name, title
from lbproxy.control.snapshot import InstanceView
from lbproxy.errors import AdminError

if TYPE_CHECKING:
    from rich.console import Console

_EVERY = 0.5  # seconds between two looks of --wait


@click.command("drain")
@config_option
@admin_option
@click.argument("name")
@click.option("--wait", is_flag=True, help="Wait until it has nothing left to finish, showing what it has.")
@click.option(
    "--timeout", callback=seconds, metavar="DURATION", help="How long --wait waits; without it, for drain_timeout."
)
@click.option("--force", is_flag=True, help="Even if no other backend of one of its pools is in rotation.")
@click.option("--json", "as_json", is_flag=True, help="Print how it is then, as one JSON object.")
def command(
    path: Path, admin: Address | None, name: str, wait: bool, timeout: float | None, force: bool, as_json: bool
) -> None:
    """Give the instance NAME no new work; what it has may finish.

    Backends of one name are one instance: it is drained in every pool that has one. POOL/NAME is drained in that pool
    only. It stays drained until `lbproxy ready NAME`. In a fleet it is drained on every replica, and --wait waits for
    all of them.

    The exit status is 0. It is 1 if the order is refused or, with --wait, if something is left when the time is over,
    or a replica that runs has not applied the order within its lease.
    """
    if timeout is not None and not wait:
        raise click.UsageError("--timeout has a meaning only with --wait")
    bind = admin_bind(path, admin)
    after = drain(bind, name, force)
    if wait:
        within = fetch_status(bind)["drain_timeout_seconds"] if timeout is None else timeout
        after = wait_until_empty(bind, after, within, progress())
    if as_json:
        click.echo(json.dumps(after, indent=2))
    else:
        left = unfinished(after) or "nothing"
        say(f"{title(after)} is drained; {left} to finish")
        for line in filter(None, (here_only(after), died(after) if wait else "")):
            say(line)


def wait_until_empty(
    bind: Bind, seen: InstanceView, within: float, console: Console, every: float = _EVERY
) -> InstanceView:
    """Look at a drained instance again until nothing is left to finish; returns the last look.

    `seen` is the first look; times are seconds. Raises AdminError if something is left after `within`, if the user
    interrupts, or if an operator ends the drain.
    """
    name = title(seen)
    deadline = time.monotonic() + within
    try:
        with console.status("") as line:
            while left := waited_for(seen):
                if not all(one["backend"]["draining"] for one in members(seen)):
                    raise AdminError(f"{name} was made ready again, with {left}")
                if late := silent(seen):
                    raise AdminError(f"{name}: {late} within its lease, though it runs; it stays drained")
                if time.monotonic() >= deadline:
                    raise AdminError(f"{name} still waits after {within:g} s: {left}; it stays drained")
                line.update(plain(f"{name}: {left}"))
                time.sleep(every)
                seen = fetch_instance(bind, order_name(seen))
    except KeyboardInterrupt:
        raise AdminError(f"interrupted: {name} stays drained, with {waited_for(seen)}") from None
    return seen
