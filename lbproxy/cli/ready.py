"""`lbproxy ready`: bring a drained instance back into rotation."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lbproxy.cli import config_option
from lbproxy.cli.console import say
from lbproxy.cli.options import admin_bind, admin_option
from lbproxy.cli.wording import here_only
from lbproxy.config import Address
from lbproxy.control.admin.client import make_ready
from lbproxy.control.instance import members, title
from lbproxy.control.snapshot import InstanceView


@click.command("ready")
@config_option
@admin_option
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print how it is then, as one JSON object.")
def command(path: Path, admin: Address | None, name: str, as_json: bool) -> None:
    """End the drain of the instance NAME in every pool that has it, or of POOL/NAME in that pool.

    It is in rotation at once if it is healthy, else as soon as its probes say so. A drain that waits for a backend of
    that name ends too. The exit status is 0, and 1 if it is refused.
    """
    after = make_ready(admin_bind(path, admin), name)
    if as_json:
        click.echo(json.dumps(after, indent=2))
    else:
        say(f"no backend is called {name}; one that comes gets work" if after is None else _told(after))
        if after is not None and (alone := here_only(after)):
            say(alone)


def _told(after: InstanceView) -> str:
    out = [one for one in members(after) if not one["backend"]["in_rotation"]]
    if not out:
        return f"{title(after)} is in rotation"
    where = " in pool {}" if after["others"] else ""
    states = ", ".join(one["backend"]["state"] + where.format(one["pool"]) for one in out)
    return f"{title(after)} is ready, and will be in rotation when its probes are good; it is {states} now"
