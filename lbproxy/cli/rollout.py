"""`lbproxy rollout`: a rolling update of a pool's backends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.status import Status
from rich.table import Table

from lbproxy.cli import config_option
from lbproxy.cli.console import output, plain
from lbproxy.cli.options import admin_bind, admin_option, facts, seconds
from lbproxy.config import Address
from lbproxy.control.admin.client import RolloutLock, fetch_status
from lbproxy.control.admin.sockets import Bind
from lbproxy.control.rollout.balancer import AdminBalancer
from lbproxy.control.rollout.command import Command
from lbproxy.control.rollout.lock import run_alone
from lbproxy.control.rollout.plan import Target, choose_pool, plan, pools_of
from lbproxy.control.rollout.runner import Conditions, Rollout
from lbproxy.control.snapshot import Snapshot
from lbproxy.errors import RolloutError


@click.command("rollout")
@config_option
@admin_option
@click.option("--run", "line", required=True, metavar="COMMAND", help="What updates a backend.")
@click.option("--pool", metavar="NAME", help="Which pool, if there are several.")
@click.option("--from", "start", metavar="NAME", help="Begin with this backend: to continue after a stop.")
@click.option(
    "--keep", type=click.IntRange(min=0), default=1, show_default=True,
    help="Backends that stay in rotation, in each pool.",
)  # fmt: skip
@click.option(
    "--expect", "expected", multiple=True, callback=facts, metavar="FACT=VALUE",
    help="A fact that an updated backend has to show before it is back; may be given again.",
)  # fmt: skip
@click.option(
    "--timeout", callback=seconds, default="10m", show_default=True, metavar="DURATION",
    help="How long one backend may take.",
)  # fmt: skip
@click.option(
    "--logs", type=click.Path(file_okay=False, path_type=Path), default=Path("lbproxy-rollout"), show_default=True,
    metavar="DIRECTORY", help="Where the output of COMMAND is kept, in POOL/NAME.log.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Print the plan and do nothing.")
def command(
    path: Path,
    admin: Address | None,
    line: str,
    pool: str | None,
    start: str | None,
    keep: int,
    expected: dict[str, str],
    timeout: float,
    logs: Path,
    dry_run: bool,
) -> None:
    """Update every instance of a pool, one at a time, which its users do not notice.

    Backends of one name are one instance. It is drained in every pool that has it; when it has nothing left to finish,
    COMMAND is run with {name}, {url}, {host} and {port} filled in (not by a shell: for a pipe, write sh -c '...'); when
    it is healthy again, and its facts are as expected, it goes back into rotation. The first failure stops the rollout,
    with the other instances serving; it says how to go on. A pool has one rollout at a time, as has each pool that
    shares an instance with it; the dashboard shows it, and can cancel it. In a fleet it waits for every replica.

    The exit status is 0 if every instance was updated, else 1.
    """
    try:
        update = Command(line, logs)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--run") from None
    bind = admin_bind(path, admin)
    snapshot = fetch_status(bind)
    targets = _plan(snapshot, pool, start, keep, expected)
    console = output()
    if dry_run:
        console.print(_table(targets, update))
        return
    update.prepare(targets)
    conditions = Conditions(keep, expected, timeout)
    with console.status("") as line_below:
        observer = _Display(console, line_below, targets)
        _run(Rollout(targets, AdminBalancer(bind), update.run, observer, conditions), _locks(snapshot, bind, targets))
    console.print(plain(f"updated: {', '.join(target.name for target in targets)}"), soft_wrap=True)


def _plan(snapshot: Snapshot, pool: str | None, start: str | None, keep: int, expected: dict[str, str]) -> list[Target]:
    if snapshot["state"] != "serving":
        raise RolloutError(f"lbproxy is {snapshot['state']}")
    return plan(snapshot, choose_pool(snapshot, pool), start, keep, expected)


def _locks(snapshot: Snapshot, bind: Bind, targets: Sequence[Target]) -> dict[str, RolloutLock]:
    """By the pool; a balancer of another version, which is in no fleet, may have none."""
    has_locks = snapshot["fleet"] is not None or "rollouts" in snapshot
    return {name: RolloutLock(bind, name) for name in pools_of(targets)} if has_locks else {}


def _table(targets: Sequence[Target], update: Command) -> Table:
    table = Table("", "backend", "command", "log", box=None)
    for number, target in enumerate(targets, 1):
        words = repr(update.filled(target))  # as a list: where an argument begins and ends is seen
        name = f"{target}, also in {', '.join(target.also)}" if target.also else str(target)
        table.add_row(str(number), plain(name), plain(words), plain(str(update.log(target))))
    return table


def _run(rollout: Rollout, locks: Mapping[str, RolloutLock]) -> None:
    try:
        asyncio.run(run_alone(rollout, locks))
    except KeyboardInterrupt:
        raise RolloutError(f"interrupted\n{rollout.left()}") from None


class _Display:
    """A line for every step that is done, and below them what is waited for."""

    def __init__(self, console: Console, below: Status, targets: Sequence[Target]) -> None:
        self._console = console
        self._below = below
        self._numbers = {target: f"[{number}/{len(targets)}]" for number, target in enumerate(targets, 1)}

    def done(self, target: Target, what: str) -> None:
        self._console.print(plain(f"{self._numbers[target]} {target}: {what}"), soft_wrap=True)

    def waits(self, target: Target, what: str) -> None:
        self._below.update(plain(f"{self._numbers[target]} {target}: waiting for {what}"))
