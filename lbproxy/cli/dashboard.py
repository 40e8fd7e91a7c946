"""`lbproxy dashboard`: what the balancer does, in a browser."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
import webbrowser
from contextlib import suppress
from html import escape
from pathlib import Path

import click

from lbproxy.cli import config_option
from lbproxy.cli.options import admin_bind, admin_option, seconds
from lbproxy.config import Address
from lbproxy.errors import MissingExtraError, StartError

_HOST = "127.0.0.1"


@click.group("dashboard", invoke_without_command=True)
@config_option
@admin_option
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Of the loopback address; any free one otherwise."
)
@click.option("--idle", callback=seconds, default="15m", show_default=True, metavar="DURATION",
              help="End after so long without a page that is open, or is asked for.")  # fmt: skip
@click.option("--no-browser", is_flag=True, help="Only print the link.")
@click.pass_context
def command(
    context: click.Context, path: Path, admin: Address | None, port: int, idle: float, no_browser: bool
) -> None:
    """Show in a browser what the balancer does, and give orders there.

    It listens on a loopback address and prints a link that works once, within five minutes. Whoever may ask the admin
    socket may do that; orders are given and logged in the name of this account. On another machine:
    ssh -L 4711:127.0.0.1:4711 HOST lbproxy dashboard --port 4711
    """
    if context.invoked_subcommand is not None:
        return
    bind = admin_bind(path, admin)
    try:
        from lbproxy.dashboard.local import serve_local  # with aiohttp, which other commands do without
    except ModuleNotFoundError as error:
        raise MissingExtraError("the dashboard", "dashboard") from error
    try:
        sock = socket.create_server((_HOST, port))
    except OSError as error:
        raise StartError(f"cannot listen on {_HOST} port {port}: {error.strerror}") from None

    def ready(url: str) -> None:
        click.echo(url)
        click.echo("Open this link within five minutes; it works once. Ctrl-C ends the dashboard.", err=True)
        if not no_browser and has_browser():
            open_page(url)

    with suppress(KeyboardInterrupt), sock:
        asyncio.run(serve_local(bind, sock, idle, ready))
    if _PAGES:
        _PAGES.pop().unlink(missing_ok=True)


@command.command("passwd")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("name")
def passwd(file: Path, name: str) -> None:
    """Set the password of NAME in FILE, which admin.web.passwords names; it is asked for, or read from a pipe.

    A dashboard that runs knows it at once. To remove a name, remove its line.
    """
    from lbproxy.dashboard.passwords import write

    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    try:
        changed = write(file, name, password)
    except (ValueError, OSError) as error:
        raise StartError(f"{file}: {error.strerror}" if isinstance(error, OSError) else str(error)) from None
    click.echo(f"{name}: {'changed' if changed else 'added'}")


def has_browser() -> bool:
    """Whether there is a display, and something that opens a page there."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    with suppress(webbrowser.Error):
        webbrowser.get()
        return True
    return False


_PAGES: list[Path] = []


def open_page(url: str) -> None:
    """Open a file of our own that leads to `url`: arguments of programs can be read by every account."""
    descriptor, name = tempfile.mkstemp(prefix="lbproxy-", suffix=".html", dir=os.environ.get("XDG_RUNTIME_DIR"))
    link = escape(url)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={link}"><a href="{link}">lbproxy</a>')
    _PAGES.append(Path(name))
    webbrowser.open(Path(name).as_uri())
