"""`lbproxy run`: serve."""

from __future__ import annotations

from pathlib import Path

import click

from lbproxy.cli import config_option


@click.command("run")
@config_option
def command(path: Path) -> None:
    """Serve until TERM, which lets requests finish within drain_timeout; a second TERM, or INT, ends at once.

    Prints "ready: SERVER_URL" and how many backends are in rotation on standard error, once every listener accepts and
    every backend was probed.
    """
    from lbproxy.process.master.main import run

    run(path)
