"""`lbproxy instance pack`: an instance as one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from lbproxy.cli.console import say
from lbproxy.cli.instance.options import (
    FILE,
    dir_option,
    environment_option,
    keytab_option,
    kind_option,
    other_options,
    passphrase,
    passphrase_option,
    where,
)
from lbproxy.errors import InstanceError
from lbproxy.instance import pack
from lbproxy.instance.kinds import kind_of, load
from lbproxy.instance.model import Area
from lbproxy.instance.sealing import Recipients
from lbproxy.instance.transaction import State, Transaction


@click.command("pack")
@kind_option
@dir_option
@environment_option
@keytab_option
@other_options
@passphrase_option
@click.option(
    "--recipient", "recipients", multiple=True, metavar="KEY",
    help="Seal it for this public key (age1... or an SSH key), or those in a file, instead of a passphrase.",
)  # fmt: skip
@click.argument("file", type=FILE)
def command(
    kind: str,
    directory: Path,
    environment: Path | None,
    keytab: Path | None,
    passphrase_file: Path | None,
    recipients: Sequence[str],
    file: Path,
    **others: Any,
) -> None:
    """Put the instance in DIR into FILE, with all that another one needs to be like it.

    Its files are sealed to a passphrase, which is asked for, or to --recipient. What can be read without it is a
    manifest with digests, from which no secret can be guessed.

    An instance that would not serve, or has not started once, is refused, with what to do. The exit status is 0, or 1
    if nothing was written.
    """
    if recipients and passphrase_file is not None:
        raise click.UsageError("--recipient and --passphrase-file exclude each other")
    place = where(directory, environment, keytab, **others)
    instance = load(kind, place)
    found = kind_of(kind).inspect(place, instance.files)
    journal = Transaction(directory).journal()
    cut_off = journal is not None and journal.state is not State.DONE
    begun = ["an apply was cut off here; run `lbproxy instance apply` again"] if cut_off else []
    if problems := [*begun, *instance.problems, *found.problems]:
        raise InstanceError("\n".join(problems))
    for warning in (*instance.warnings, *found.warnings):
        say(f"lbproxy: warning: {warning}", err=True)
    sealer = Recipients.read(recipients) if recipients else passphrase(passphrase_file, new=True)
    manifest = pack.write(instance, sealer, file)
    for one in instance.files:
        if one.area is not Area.PROGRAM:
            say(f"packed {one}")
    say(f"{file} is pack {manifest.id[:8]} of {directory.resolve()}")
