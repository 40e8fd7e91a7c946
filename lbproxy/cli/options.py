"""Options that several commands have: which balancer they speak to, and for how long."""

from __future__ import annotations

from pathlib import Path

import click

from lbproxy import config
from lbproxy.config import Address
from lbproxy.config.addresses import address
from lbproxy.config.units import duration
from lbproxy.control.admin.sockets import Bind


def seconds(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """The callback of an option whose value is a duration as the configuration file writes it: 500ms, 30s, 10m."""
    try:
        return None if value is None else duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _admin_address(_: click.Context, __: click.Parameter, value: str | None) -> Address | None:
    try:
        return None if value is None else address(value, Path.cwd())
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


admin_option = click.option(
    "--admin", callback=_admin_address, metavar="ADDRESS", help="Ask there instead of at admin.bind of FILE."
)


def admin_bind(path: Path, admin: Address | None) -> Bind:
    """Where the balancer's admin interface is: `admin` if given, else as the configuration at `path` says.

    Only `admin.bind` of that file is read, so a mistake elsewhere in it keeps no command from the running balancer. If
    the file cannot say, it is the default, and a line on standard error says so.
    """
    where = admin
    if where is None:
        where, problem = config.admin_bind(path)
        for line in problem.splitlines():
            click.echo(f"lbproxy: warning: {line}", err=True)
        if problem:
            click.echo(f"lbproxy: warning: asking at the default address instead, {where}", err=True)
    return where.path or (where.host, where.port)
