"""`lbproxy ready`: bring a drained backend back into rotation."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lbproxy.cli import config_option
from lbproxy.cli.console import output, plain
from lbproxy.cli.options import admin_bind, admin_option
from lbproxy.config import Address
from lbproxy.control.admin.client import make_ready
from lbproxy.control.snapshot import BackendInPool


@click.command("ready")
@config_option
@admin_option
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print how the backend is then, as one JSON object.")
def command(path: Path, admin: Address | None, name: str, as_json: bool) -> None:
    """End the drain of the backend NAME (or POOL/NAME).

    It is in rotation at once if it is healthy, else as soon as its probes say so. The exit status is 0, and 1 if it
    is refused.
    """
    after = make_ready(admin_bind(path, admin), name)
    if as_json:
        click.echo(json.dumps(after, indent=2))
    else:
        output().print(plain(_told(after)), soft_wrap=True)


def _told(after: BackendInPool) -> str:
    name, backend = f"{after['pool']}/{after['backend']['name']}", after["backend"]
    if backend["in_rotation"]:
        return f"{name} is in rotation"
    return f"{name} is ready, and will be in rotation when its probes are good; it is {backend['state']} now"
