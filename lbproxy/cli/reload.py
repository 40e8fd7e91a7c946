"""`lbproxy reload`: serve the configuration as it is now."""

from __future__ import annotations

from pathlib import Path

import click

from lbproxy.cli import config_option
from lbproxy.cli.options import admin_bind, admin_option
from lbproxy.config import Address
from lbproxy.control.admin.client import reload
from lbproxy.errors import AdminError


@click.command("reload")
@config_option
@admin_option
def command(path: Path, admin: Address | None) -> None:
    """Have the running balancer read its configuration again, as the signal HUP does, and wait until it is served.

    It reads the file that it was started with; the options here only say where to ask it.

    The exit status is 0, or 1 with every reason if the old configuration goes on being served.
    """
    bind = admin_bind(path, admin)
    try:
        reload(bind)
    except AdminError as error:
        raise AdminError(f"not reloaded:\n{error}") from error
    click.echo("reloaded")
