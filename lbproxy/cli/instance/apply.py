"""`lbproxy instance apply`: an instance of a pack."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Any

import click

from lbproxy.cli.console import say
from lbproxy.cli.instance.options import (
    FILE,
    dir_option,
    environment_option,
    identity_option,
    keytab_option,
    opener,
    other_options,
    passphrase_option,
    where,
)
from lbproxy.errors import InstanceError
from lbproxy.instance import pack
from lbproxy.instance.change import current
from lbproxy.instance.model import Where
from lbproxy.instance.pack import Pack
from lbproxy.instance.plan import Plan, Planned, make_plan
from lbproxy.instance.sealing import Opener
from lbproxy.instance.transaction import Transaction


@click.command("apply")
@dir_option
@environment_option
@keytab_option
@click.option(
    "--ca-path", "authorities", type=FILE, metavar="DIR",
    help="auth0: the directory of SSL_CA_PATH, if files of the pack may be written there.",
)  # fmt: skip
@other_options
@click.option("--port", type=click.IntRange(1, 65535), metavar="N", help="PORT of the new instance; else as it is.")
@passphrase_option
@identity_option
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--undo", is_flag=True, help="Put back what was there before the last apply; without FILE.")
@click.argument("file", type=FILE, required=False)
def command(
    directory: Path,
    environment: Path | None,
    keytab: Path | None,
    authorities: Path | None,
    port: int | None,
    passphrase_file: Path | None,
    identity: Path | None,
    dry_run: bool,
    yes: bool,
    undo: bool,
    file: Path | None,
    **others: Any,
) -> None:
    """Make the connector in DIR like the one in the pack FILE. Do it before its first start.

    The connector has to be installed there, in the same version. What must differ stays: its PORT, and variables that
    are not the connector's. What will be done is shown, and asked about. All of it is done, or nothing; if lbproxy is
    killed in the middle, the next apply finishes it, or takes it back. --undo needs the same passphrase or key, since
    what was there before is kept sealed.

    The exit status is 0, or 1 if nothing was changed, or not everything, which is told.
    """
    if undo == (file is not None):
        raise click.UsageError("name a pack, or --undo alone")
    if not directory.is_dir():
        raise InstanceError(f"{directory}: no directory")
    directory = directory.resolve()
    key = opener(passphrase_file, identity)
    if file is None:
        _undo(Transaction(directory), key, dry_run, yes)
    else:
        place = where(directory, environment, keytab, authorities, **others)
        _apply(pack.read(file), place, port, key, dry_run, yes)


def _apply(found: Pack, place: Where, port: int | None, key: Opener, dry_run: bool, yes: bool) -> None:
    transaction = Transaction(place.directory)
    packed = found.open(key)
    _recover(transaction, dry_run)
    plan = make_plan(found.manifest.kind, packed, place, port)
    say(f"pack {found.manifest.id[:8]} of {found.manifest.made}, by {found.manifest.by}")
    _show(plan)
    if not plan.changes:
        say("everything is as packed already")
        return
    if dry_run or not _agreed(yes):
        say("nothing was changed")
        return
    with transaction.locked():
        transaction.run(plan.changes, key, f"apply of pack {found.manifest.id[:8]}")
    undo = f"`lbproxy instance apply --dir {place.directory} --undo`"
    say(f"applied; {undo} takes it back. Start the connector in {place.directory}")


def _recover(transaction: Transaction, dry_run: bool) -> None:
    journal = transaction.journal()
    if journal is None:
        return
    if dry_run:
        if journal.state != "done":
            say(f"{journal.what}, begun {journal.made}, was cut off; the next apply deals with it first")
        return
    with transaction.locked():
        if told := transaction.recover():
            say(told)


def _show(plan: Plan) -> None:
    """Raises InstanceError if it cannot be done."""
    for one in plan.planned:
        say(_line(one))
    for name, value in plan.kept.items():
        say(f"{name} is {value}")
    for warning in plan.warnings:
        say(f"lbproxy: warning: {warning}", err=True)
    if plan.problems:
        raise InstanceError("\n".join([*plan.problems, "nothing was changed"]))


def _line(one: Planned) -> str:
    if one.action == "same":
        return f"same     {one.change.path}"
    if one.change.content is None:
        return f"remove   {one.change.path}"
    rights = stat.filemode(stat.S_IFREG | one.change.mode)[1:]
    return f"{one.action:<8} {one.change.path}  {rights}, owner {one.change.uid}:{one.change.gid}"


def _agreed(yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise InstanceError("there is no terminal to ask at; add --yes, or --dry-run\nnothing was changed")
    return click.confirm("Go on?")


def _undo(transaction: Transaction, key: Opener, dry_run: bool, yes: bool) -> None:
    _recover(transaction, dry_run)
    journal = transaction.journal()
    changes = transaction.before(key)
    planned = [Planned(change, current(change)) for change in changes]
    say(f"undoes: {'nothing' if journal is None else f'{journal.what} of {journal.made}'}")
    for one in planned:
        say(_line(one))
    undone = {one.change.path for one in planned if one.action == "same"}
    for path in transaction.changed_since():
        if path in undone:
            continue
        say(f"lbproxy: warning: {path} was changed after the apply, and that will be lost", err=True)
    if dry_run or not _agreed(yes):
        say("nothing was changed")
        return
    with transaction.locked():
        transaction.run(changes, key, "undo", undoes=True)
    say("undone: everything is as it was before; restart the connector if it runs")
