"""`lbproxy drain`: take one backend out of rotation."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
from rich.console import Console

from lbproxy.cli import config_option
from lbproxy.cli.console import output, plain, progress
from lbproxy.cli.options import admin_bind, admin_option, seconds
from lbproxy.config import Address
from lbproxy.control.admin.client import drain, fetch_backend, fetch_status
from lbproxy.control.admin.sockets import Bind
from lbproxy.control.draining import unfinished
from lbproxy.control.snapshot import BackendInPool
from lbproxy.errors import AdminError

_EVERY = 0.5  # seconds between two looks of --wait


@click.command("drain")
@config_option
@admin_option
@click.argument("name")
@click.option("--wait", is_flag=True, help="Wait until it has nothing left to finish, showing what it has.")
@click.option(
    "--timeout", callback=seconds, metavar="DURATION", help="How long --wait waits; without it, for drain_timeout."
)
@click.option("--force", is_flag=True, help="Even if no other backend of its pool is in rotation.")
@click.option("--json", "as_json", is_flag=True, help="Print how the backend is then, as one JSON object.")
def command(
    path: Path, admin: Address | None, name: str, wait: bool, timeout: float | None, force: bool, as_json: bool
) -> None:
    """Give the backend NAME (or POOL/NAME) no new work; what it has may finish.

    It stays drained until `lbproxy ready NAME`. The exit status is 0, and 1 if that is refused or, with --wait, if
    something is left when the time is over.
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
        left = unfinished(after["backend"]) or "nothing"
        output().print(plain(f"{_full_name(after)} is drained; {left} to finish"), soft_wrap=True)


def wait_until_empty(
    bind: Bind, seen: BackendInPool, within: float, console: Console, every: float = _EVERY
) -> BackendInPool:
    """Look at a drained backend again until nothing is left to finish; returns the last look.

    `seen` is the first look; times are seconds. Raises AdminError if something is left after `within`, if the user
    interrupts, or if somebody ends the drain.
    """
    name = _full_name(seen)
    deadline = time.monotonic() + within
    try:
        with console.status("") as line:
            while left := unfinished(seen["backend"]):
                if not seen["backend"]["draining"]:
                    raise AdminError(f"{name} was made ready again, with {left} to finish")
                if time.monotonic() >= deadline:
                    raise AdminError(f"{name} still has {left} to finish after {within:g} s; it stays drained")
                line.update(plain(f"{name}: {left} to finish"))
                time.sleep(every)
                seen = fetch_backend(bind, name)
    except KeyboardInterrupt:
        raise AdminError(f"interrupted: {name} stays drained, with {unfinished(seen['backend'])} to finish") from None
    return seen


def _full_name(seen: BackendInPool) -> str:
    return f"{seen['pool']}/{seen['backend']['name']}"
