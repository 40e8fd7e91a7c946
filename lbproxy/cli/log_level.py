"""`lbproxy log-level`: how much the operational log says, for a while."""

from __future__ import annotations

from pathlib import Path

import click

from lbproxy.cli import config_option
from lbproxy.cli.console import say
from lbproxy.cli.options import admin_bind, admin_option, seconds
from lbproxy.config import Address
from lbproxy.control.admin.client import fetch_log_level, set_log_level
from lbproxy.control.log.timestamp import timestamp
from lbproxy.control.snapshot import LogView

_LEVELS = ("debug", "info", "warning", "error")


@click.command("log-level")
@config_option
@admin_option
@click.argument("level", required=False, type=click.Choice(_LEVELS))
@click.option("--for", "within", callback=seconds, metavar="DURATION", help="Go back to info after so long.")
def command(path: Path, admin: Address | None, level: str | None, within: float | None) -> None:
    """Log events of LEVEL and above, in all processes, while lbproxy runs. Without LEVEL: show how it is.

    info is the default. A reload or a restart goes back to it, and so does the time that --for names.
    """
    if level is None and within is not None:
        raise click.UsageError("--for needs a LEVEL")
    bind = admin_bind(path, admin)
    say(_sentence(fetch_log_level(bind) if level is None else set_log_level(bind, level, within)))


def _sentence(view: LogView) -> str:
    until = "" if view["until"] is None else f" until {timestamp(view['until'])}, then info"
    return f"log level: {view['level']}{until}"
