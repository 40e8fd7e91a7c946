"""Options that several commands have: which balancer they speak to, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from lbproxy import config
from lbproxy.config import Address
from lbproxy.config.addresses import address
from lbproxy.config.units import duration
from lbproxy.control.admin.sockets import Bind

_Value = TypeVar("_Value")


def refusing(read: Callable[[str], _Value]) -> Callable[[str], _Value]:
    """The same with click.BadParameter in the place of ValueError, whose sentence is for people."""

    def parse(text: str) -> _Value:
        try:
            return read(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return parse


def read_by(read: Callable[[str], object]) -> Callable[..., Any]:
    """The callback of an option, given once or several times, of which `read` takes the text; see `refusing`."""
    parse = refusing(read)

    def callback(_: click.Context, __: click.Parameter, value: str | Sequence[str] | None) -> Any:
        if value is None or isinstance(value, str):
            return None if value is None else parse(value)
        return tuple(map(parse, value))

    return callback


seconds = read_by(duration)
"""The callback of an option whose value is a duration as the configuration file writes it: 500ms, 30s, 10m."""


def facts(_: click.Context, __: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    """The callback of an option that is given as FACT=VALUE, several times."""
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{one!r} is not NAME=VALUE")
        found[name] = value
    return found


def local_address(text: str) -> Address:
    """HOST:PORT or unix:PATH, from the working directory. Raises ValueError."""
    return address(text, Path.cwd())


admin_option = click.option(
    "--admin", callback=read_by(local_address), metavar="ADDRESS", help="Ask there instead of at admin.bind of FILE."
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
