"""The group that `lbproxy` is: commands imported only when used, errors without a traceback.

An LbproxyError that reaches the top is printed in its own words and ends with status 1; any other exception is a fault
in lbproxy and shows where.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import IO, Any, cast

import click

from lbproxy.errors import LbproxyError


class Failure(click.ClickException):
    """How an LbproxyError is shown: each of its lines after "lbproxy: error:", on standard error; status 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        for line in self.message.splitlines():
            click.echo(f"lbproxy: error: {line}", file=file, err=file is None)


class LazyGroup(click.Group):
    """A group whose commands are modules of `package`, each with a click command named `command`.

    `summaries` maps a command's name, which is its module's too (with _ for -), to its line in the help: neither the
    help nor another command imports it.
    """

    def __init__(self, *args: Any, package: str, summaries: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._package = package
        self._summaries = summaries

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._summaries:
            return None
        return cast(click.Command, import_module(f"{self._package}.{cmd_name.replace('-', '_')}").command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LbproxyError as error:
            raise Failure(str(error)) from error
