"""`python -m bench.micro`: time the cases, and set them beside a saved baseline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import click
from rich import box
from rich.table import Table

from bench.console import console
from bench.micro.cases import cases
from bench.micro.timing import Timing, measure

_BASELINE = Path("build/bench/micro.json")
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--only", default="", help="Cases with this in their name.")
@click.option("--baseline", type=_FILE, default=_BASELINE, show_default=True, help="Compare with this file.")
@click.option("--save", is_flag=True, help="Make these times the baseline. The first ones are in any case.")
def main(only: str, baseline: Path, save: bool) -> None:
    """Nanoseconds a call. A baseline is good on the machine that it was made on, and when that is as quiet as then."""
    before = _read(baseline) if baseline.exists() else {}
    timings = {name: measure(case) for name, case in cases().items() if only in name}
    console().print(_table(timings, before))
    if save or not before:
        baseline.parent.mkdir(parents=True, exist_ok=True)
        saved = {name: asdict(timing) for name, timing in (before | timings).items()}
        baseline.write_text(json.dumps(saved, indent=1) + "\n")
        click.echo(f"saved: {baseline}", err=True)


def _read(path: Path) -> dict[str, Timing]:
    try:
        return {name: Timing(**item) for name, item in json.loads(path.read_text()).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise click.ClickException(f"{path} is not a saved baseline: {error}") from error


def _table(timings: Mapping[str, Timing], baseline: Mapping[str, Timing]) -> Table:
    shown = Table(box=box.MARKDOWN)
    shown.add_column("case", no_wrap=True)
    for heading in ("best ns", "median ns", "noise", "baseline ns", "change"):
        shown.add_column(heading, justify="right")
    for name, timing in timings.items():
        figures = (f"{timing.best_ns:,.0f}", f"{timing.median_ns:,.0f}", f"{timing.noise:.0%}")
        shown.add_row(name, *figures, *_compared(timing, baseline.get(name)))
    return shown


def _compared(timing: Timing, before: Timing | None) -> tuple[str, str]:
    return (f"{before.best_ns:,.0f}", timing.change(before)) if before else ("", "")


if __name__ == "__main__":
    main(prog_name="python -m bench.micro")
