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


@click.command()
@click.option("--only", default="", help="Cases with this in their name.")
@click.option("--baseline", type=click.Path(exists=True, path_type=Path), help="Compare with this file.")
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), help="Save the times in this file.")
def main(only: str, baseline: Path | None, save: Path | None) -> None:
    """Nanoseconds a call. A baseline is good on the machine that it was made on, and when that is as quiet as then."""
    timings = {name: measure(call) for name, call in cases().items() if only in name}
    console().print(_table(timings, _read(baseline) if baseline else {}))
    if save:
        save.write_text(json.dumps({name: asdict(timing) for name, timing in timings.items()}, indent=1) + "\n")


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
    """By the best samples: what disturbs a sample only ever makes it longer."""
    if before is None:
        return "", ""
    return f"{before.best_ns:,.0f}", f"{timing.best_ns / before.best_ns - 1:+.0%}"


if __name__ == "__main__":
    main(prog_name="python -m bench.micro")
