"""`lbproxy init`: a first configuration, made of a few answers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Unpack, get_args
from urllib.parse import urlsplit

import click

from lbproxy.cli.answers import Answers, answer_options, backend_url, draft, server_url
from lbproxy.cli.options import local_address, refusing
from lbproxy.draft.draft import Kind
from lbproxy.errors import ConfigError


@click.command("init")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("lbproxy.toml"),
    show_default=True,
    metavar="FILE",
    help="The file to write.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@answer_options
def command(output: Path, force: bool, **answers: Unpack[Answers]) -> None:
    """Write a commented configuration, and check it as `lbproxy check` does.

    Asks for what the options have not said: the address of users, where to listen, the backends, the certificate, and
    the check. Without a terminal nothing is asked, and --listen and --to are needed.
    """
    _refuse(output, force)
    if sys.stdin.isatty():
        _ask_or_leave(output, answers)
    elif answers["listen"] is None and not answers["backends"]:
        raise click.UsageError("without a terminal nothing is asked: --listen and --to are needed")
    made = draft(answers, lambda: output.absolute().parent)
    try:
        output.write_text(made.toml())
    except OSError as error:
        raise click.FileError(str(output), error.strerror or "") from error
    _report(output)


def _refuse(output: Path, force: bool) -> None:
    """A file that cannot be written, before anything is asked or made."""
    there, folder = os.access(output, os.F_OK), output.absolute().parent
    if there and not force:
        raise click.UsageError(f"{output} exists; --force replaces it, -o FILE writes another")
    if not (os.access(output if there else folder, os.W_OK) and folder.is_dir()):
        raise click.FileError(str(output), f"{folder} is not a directory that you may write to")


def _ask_or_leave(output: Path, answers: Answers) -> None:
    """Ctrl-C and the end of input leave nothing behind."""
    try:
        _ask(answers)
    except click.Abort:
        click.echo(f"\nlbproxy: {output} is not written", err=True)
        sys.exit(1)


def _ask(answers: Answers) -> None:
    """Ask what is missing; an empty line takes what is in brackets."""
    url = answers["server_url"] or _question("The address that users know", server_url, "https://login.corp.example")
    answers["server_url"] = url
    tls = url.startswith("https:")
    if answers["listen"] is None:
        port = urlsplit(url).port or (443 if tls else 80)
        answers["listen"] = _question("Listen at", local_address, f"0.0.0.0:{port}")
    if not answers["backends"]:
        answers["backends"] = _question("Backends (URLs, a space between them)", _backends, "http://10.0.0.11:4000")
    passed = all(url.startswith("tcp:") for url in answers["backends"])
    if tls and not passed and answers["certificate"] is None and not answers["self_signed"]:
        file = _question("Certificate (a PEM file; - is one for trials)", Path, "-")
        answers["self_signed"] = file == Path("-")
        if not answers["self_signed"]:
            answers["certificate"] = _whole(file)
            answers["key"] = answers["key"] or _question("Its key", _whole, str(file.with_suffix(".key")))
    if answers["check"] is None:
        answers["check"] = click.prompt(
            "Check", type=click.Choice(get_args(Kind)), default="tcp" if passed else "http", err=True
        )
        _ask_of_check(answers)


def _ask_of_check(answers: Answers) -> None:
    from lbproxy.config.models.check import with_realm
    from lbproxy.config.models.values import request_target

    if answers["check"] in ("http", "kerberos") and answers["check_path"] is None:
        answers["check_path"] = _question("The page that probes ask for", request_target, "/")
    if answers["check"] == "kerberos":
        principal = answers["principal"] or _question("The account that signs in, NAME@REALM", with_realm, None)
        answers["principal"] = principal
        answers["keytab"] = answers["keytab"] or _question("Its keytab", _whole, None)


def _question(text: str, read: Callable[[str], Any], default: str | None) -> Any:
    return click.prompt(text, value_proc=refusing(lambda said: read(said.strip())), default=default, err=True)


def _whole(file: str | Path) -> Path:
    """As a shell would have it."""
    return Path(file).expanduser().absolute()


def _backends(text: str) -> tuple[str, ...]:
    urls = tuple(backend_url(one) for one in text.replace(",", " ").split())
    if not urls:
        raise ValueError("one backend is needed at the least")
    if twice := [url for url in urls if urls.count(url) > 1]:
        raise ValueError(f"{twice[0]!r} is there twice")
    if len({url.startswith("tcp:") for url in urls}) > 1:
        raise ValueError("tcp:// passes connections through, which is for all backends or for none of them")
    return urls


def _report(output: Path) -> None:
    """What `lbproxy check` says of the file. It stays also with problems: they name what is to be done."""
    from datetime import UTC, datetime

    from lbproxy.config import load
    from lbproxy.preflight import inspect

    try:
        config = load(output)
    except ConfigError as error:
        click.echo(f"{output} is written, and needs changes:\n{error}", err=True)
        sys.exit(1)
    report = inspect(config, datetime.now(UTC))
    for problem in config.located(report.problems):
        click.echo(problem.in_file(str(output)), err=True)
    for warning in config.located(report.warnings):
        click.echo(warning.in_file(str(output), "warning: "), err=True)
    if report.problems:
        click.echo(f"{output} is written; it can run when that is mended", err=True)
        sys.exit(1)
    click.echo(f"{output} is fit to run: lbproxy run -c {output}")
    click.echo(f"Whether the backends answer: lbproxy check --connect -c {output}")
