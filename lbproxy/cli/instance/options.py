"""Options that several commands of `lbproxy instance` have: which instance, and how packs are opened."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from lbproxy.errors import InstanceError
from lbproxy.instance import reading
from lbproxy.instance.kinds import KINDS
from lbproxy.instance.model import Area, Where
from lbproxy.instance.sealing import Identity, Opener, Passphrase

FILE = click.Path(path_type=Path)

kind_option = click.option(
    "--kind", type=click.Choice(list(KINDS)), default="auth0", show_default=True, help="What connector it is."
)
dir_option = click.option(
    "--dir", "directory", type=FILE, default=Path(), metavar="DIR",
    help="The directory that it is installed in; the working directory by default.",
)  # fmt: skip
environment_option = click.option(
    "--environment", type=FILE, metavar="FILE", help="The file of variables that its service is started with."
)
keytab_option = click.option("--keytab", type=FILE, metavar="FILE", help="The keytab of the web server before it.")

_OTHERS = (
    click.option("--values", type=FILE, metavar="FILE", help="apono: the values of the Helm chart."),
    click.option("--connector-version", default="", metavar="VERSION", help="apono: what is installed."),
    click.option("--path", "paths", multiple=True, metavar="PATH", help="files: a file or directory in DIR."),
    click.option("--secret", "secrets", multiple=True, metavar="PATH", help="files: the same, if it is secret."),
    click.option(
        "--digest-key", type=FILE, metavar="FILE",
        help="A secret that all instances have, which digests are made with; by default one of the connector's own.",
    ),
)  # fmt: skip

passphrase_option = click.option(
    "--passphrase-file", type=FILE, metavar="FILE", help="Where the passphrase is; it is asked for by default."
)
identity_option = click.option(
    "--identity", type=FILE, metavar="FILE", help="A private key (age or SSH) that the pack was sealed for."
)


def other_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Those that only some kinds have."""
    for option in reversed(_OTHERS):
        command = option(command)
    return command


def where(
    directory: Path,
    environment: Path | None = None,
    keytab: Path | None = None,
    authorities: Path | None = None,
    values: Path | None = None,
    connector_version: str = "",
    paths: Sequence[str] = (),
    secrets: Sequence[str] = (),
    digest_key: Path | None = None,
) -> Where:
    """What the options say."""
    return Where(
        directory=directory,
        environment=environment,
        keytab=keytab,
        authorities=authorities,
        values=values,
        paths=tuple(paths),
        secrets=tuple(secrets),
        version=connector_version,
        digest_key=digest_key,
    )


def passphrase(file: Path | None, new: bool = False) -> Passphrase:
    """From the file, or from the terminal; new: ask twice. Raises InstanceError."""
    if file is not None:
        text = reading.alone(file, Area.INSTANCE, secret=True).content.decode("utf-8", "replace")
        return Passphrase(text.rstrip("\r\n"))
    if not sys.stdin.isatty():
        raise InstanceError("the passphrase: there is no terminal to ask at; name a file by --passphrase-file")
    return Passphrase(click.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True))


def opener(passphrase_file: Path | None, identity: Path | None) -> Opener:
    """How a pack is opened. Raises InstanceError."""
    if passphrase_file is not None and identity is not None:
        raise click.UsageError("--passphrase-file and --identity exclude each other")
    return passphrase(passphrase_file) if identity is None else Identity.read(identity)
