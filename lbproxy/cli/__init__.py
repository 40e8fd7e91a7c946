"""The command line: one module a command, imported only when the command is used.

A command's module exports the click command as `command`. An LbproxyError that reaches the top is printed without a
traceback and ends with status 1; any other exception is a fault in lbproxy and shows where.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import IO, Any, cast

import click

from lbproxy import __version__
from lbproxy.errors import LbproxyError

COMMANDS = {
    "run": "Serve until TERM, which lets requests finish first.",
    "check": "Validate a configuration and open every file it names.",
    "status": "Show what the running balancer sees.",
    "demo": "Try it here: sample connectors, a throwaway realm and CA, the balancer.",
}
"""Name -> the line in `lbproxy --help`; the command is `command` in the module of that name."""

config_option = click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=Path("/etc/lbproxy/lbproxy.toml"),
    show_default=True,
    metavar="FILE",
    help="The configuration file.",
)


class Failure(click.ClickException):
    """How an LbproxyError is shown: each of its lines after "lbproxy: error:", on standard error; status 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        for line in self.message.splitlines():
            click.echo(f"lbproxy: error: {line}", file=file, err=file is None)


class LazyGroup(click.Group):
    """A group that knows its commands by COMMANDS and imports only the one that is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return cast(click.Command, import_module(f"lbproxy.cli.{cmd_name}").command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LbproxyError as error:
            raise Failure(str(error)) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lbproxy")
def main() -> None:
    """Load balancer for services that authenticate their users themselves: Kerberos, NTLM, client certificates."""
