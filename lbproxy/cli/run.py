"""`lbproxy run`: serve."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

import click
from click.core import ParameterSource

from lbproxy.cli import config_option
from lbproxy.cli.answers import Answers, answer_options, draft


@click.command("run")
@config_option
@answer_options
@click.option(
    "--print", "only_print", is_flag=True, help="Print the configuration that the options amount to, and end."
)
@click.pass_context
def command(context: click.Context, path: Path, only_print: bool, **answers: Unpack[Answers]) -> None:
    """Serve until TERM, which lets requests finish within drain_timeout; a second TERM, or INT, ends at once.

    Prints "ready: SERVER_URL" and how many backends are in rotation on standard error, once every listener accepts and
    every backend was probed.

    Without a file: --listen and --to. The configuration that they amount to is written beside the admin socket and
    printed on standard error; `lbproxy init` writes one to keep.
    """
    from lbproxy.process.master.main import run

    if any(value for value in answers.values()) or only_print:
        if context.get_parameter_source("path") is ParameterSource.COMMANDLINE:
            raise click.UsageError("-c FILE and the options that stand for a file exclude each other")
        path = _without_file(answers, only_print)
        if only_print:
            return
    else:
        _say_where(path)
    run(path)


def _without_file(answers: Answers, only_print: bool) -> Path:
    """Where the configuration is that the options amount to; it is printed."""
    from lbproxy.config.admin_default import admin_default
    from lbproxy.draft import place

    answers["admin"] = admin = answers["admin"] or admin_default()
    made = draft(answers, lambda: place.directory(admin))
    if only_print:
        click.echo(made.toml(), nl=False)
        return Path()
    path = place.keep(made.toml(), made.listen, admin)
    click.echo(f"lbproxy: this is {path}; commands reach it with --admin {admin}\n\n{made.toml()}", err=True)
    return path


def _say_where(path: Path) -> None:
    """Name the admin socket where it is not in the usual place, and the file has not chosen it."""
    from lbproxy.config import admin_bind
    from lbproxy.config.admin_default import SYSTEM, admin_default

    where, problem = admin_bind(path)
    if not problem and where == admin_default() and where.path != SYSTEM:
        click.echo(f"lbproxy: admin.bind is {where}, because {SYSTEM.parent} may not be written", err=True)
