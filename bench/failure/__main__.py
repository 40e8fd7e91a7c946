"""`python -m bench.failure`: what users notice when a connector fails, behind lbproxy and behind other proxies."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.console import show
from bench.errors import BenchError
from bench.failure import faults, namespace
from bench.failure.case import Plan, run
from bench.failure.faults import Fault
from bench.failure.peers import PROXIES, SETTINGS, Setting
from bench.failure.report import Row, heading, save, table
from bench.load.outcome import machine
from bench.load.peers import PEERS
from bench.load.run import check_machine
from bench.options import Names
from bench.processes import allow_descriptors

_OTHERS = tuple(name for name in PROXIES if name != "lbproxy")
_DESCRIPTORS = 10_000  # of one process: 500 requests/s that hang for 8 s, on both sides


@click.command()
@click.option("--peers", type=Names(_OTHERS), default=",".join(_OTHERS), show_default=True, help="Beside lbproxy.")
@click.option("--faults", "chosen", type=Names(list(faults.TABLE)), default=",".join(faults.TABLE), show_default=True)
@click.option("--configurations", type=Names(["default", "best"]), default="default,best", show_default=True)
@click.option("--rate", type=click.IntRange(1), default=500, show_default=True, help="Requests a second.")
@click.option("--seconds", type=click.FloatRange(1), default=3.0, show_default=True, help="That a fault lasts.")
@click.option("--after", type=click.FloatRange(1), default=10.0, show_default=True, help="Seconds to recover.")
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Save the run in this file.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Leave each case's files here.")
def main(
    peers: list[str],
    chosen: list[str],
    configurations: list[str],
    rate: int,
    seconds: float,
    after: float,
    file: Path | None,
    keep: Path | None,
) -> None:
    """What users notice when one of three connectors fails, behind lbproxy and others. bench/README.md has the method.

    The exit status is 1 when a case could not be played.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    proxies = ["lbproxy", *peers]
    check_machine([name for name in proxies if name != "lbproxy"])
    allow_descriptors(_DESCRIPTORS)
    plan = Plan(rate, seconds, after)
    about = _about(proxies, plan)
    settings = [
        one for proxy in proxies for one in SETTINGS[proxy] if ("best" if one.best else "default") in configurations
    ]
    cases = [(faults.TABLE[name], setting) for name in chosen for setting in settings]
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        rows = list(_rows(cases, plan, keep or Path(temporary)))
    if file:
        save(file, about, rows)
    show(heading(about, rows), table(rows))
    if any(row.figures is None for row in rows):
        raise SystemExit(1)


def _rows(cases: Sequence[tuple[Fault, Setting]], plan: Plan, directory: Path) -> Iterator[Row]:
    """The cases one after the other, with a bar on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=len(cases))
        for fault, setting in cases:
            progress.update(task, description=f"{fault.name}: {setting.name}")
            yield _row(fault, setting, plan, directory)
            progress.advance(task)


def _row(fault: Fault, setting: Setting, plan: Plan, directory: Path) -> Row:
    why = namespace.why_not() if fault.far else ""
    if not why:
        try:
            found = run(setting, fault, plan, directory / fault.name / setting.name)
            return Row(fault.name, setting.proxy, setting.best, found)
        except BenchError as error:
            why = error.message
    return Row(fault.name, setting.proxy, setting.best, None, why)


def _about(proxies: Sequence[str], plan: Plan) -> dict[str, object]:
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {name: PEERS[name].version() for name in proxies},
        "plan": asdict(plan),
    }


def _interrupt(number: int, frame: object) -> None:
    """TERM ends a run as Ctrl-C does, with everything that it started."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main(prog_name="python -m bench.failure")
