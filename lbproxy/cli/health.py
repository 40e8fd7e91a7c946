"""`lbproxy health`: should clients be sent to this host? For keepalived and its like, as an exit status."""

from __future__ import annotations

from pathlib import Path

import click

from lbproxy.cli import config_option
from lbproxy.cli.options import admin_bind, admin_option, seconds
from lbproxy.config import Address
from lbproxy.control.admin.health import ask_health


@click.command("health")
@config_option
@admin_option
@click.option(
    "--timeout", callback=seconds, default="3s", show_default=True, metavar="DURATION",
    help="No answer for so long is a no.",
)  # fmt: skip
def command(path: Path, admin: Address | None, timeout: float) -> None:
    """Say whether clients should be sent to this host: exit status 0 if so, else 1 and a line that says why not.

    It is a no while lbproxy does not run, starts, leaves or drains, and as long as a pool has no backend in rotation,
    unless that pool has ready_when_all_down.

    It is meant for the program that moves the addresses of this host. While this host leaves (`lbproxy leave`, TERM),
    new connections wait for the other host from the first no on.
    """
    good, sentence = ask_health(admin_bind(path, admin), timeout)
    click.echo(sentence, err=not good)
    if not good:
        raise SystemExit(1)
