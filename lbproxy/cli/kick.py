"""`lbproxy kick`: end one client connection."""

from __future__ import annotations

from pathlib import Path

import click

from lbproxy.cli import config_option
from lbproxy.cli.console import say
from lbproxy.cli.options import admin_bind, admin_option
from lbproxy.config import Address
from lbproxy.control.admin.client import kick


@click.command("kick")
@config_option
@admin_option
@click.argument("identity", metavar="ID")
def command(path: Path, admin: Address | None, identity: str) -> None:
    """End the client connection ID, as `lbproxy connections` shows it.

    A request that is under way is cut. Browsers connect again, and sign in again. The access log has the reason kicked.
    """
    ended = kick(admin_bind(path, admin), identity)
    user = f" ({ended['user']})" if ended["user"] else ""
    say(f"ended: {identity} from {ended['address']}{user}, after {ended['requests']} requests")
