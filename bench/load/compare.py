"""`python -m bench.load.compare OLD NEW`: what changed between two saved runs."""

from __future__ import annotations

from pathlib import Path

import click
from rich import box
from rich.table import Table

from bench.console import console
from bench.load.outcome import Outcome
from bench.load.peers import AS_BASE, REFERENCE
from bench.load.ratio import Ratio, pooled
from bench.load.saved import read

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("old", type=_FILE)
@click.argument("new", type=_FILE)
def main(old: Path, new: Path) -> None:
    """What two runs have in common, as ratios to nginx: microseconds may differ by the day, ratios should not.

    A change is one only when the two ratios are farther apart than their noise.
    """
    console().print(comparison(read(old), read(new)))


def comparison(old: Outcome, new: Outcome) -> Table:
    """A row for each scenario and proxy that both have; several runs of one file count together."""
    made = Table("scenario", "proxy", box=box.MARKDOWN)
    for heading in (f"CPU to {REFERENCE}, old", "new"):
        made.add_column(heading)
    made.add_column("change", justify="right")
    for scenario in new.scenarios:
        for peer in (peer for peer in new.peers if peer not in (REFERENCE, AS_BASE)):
            then, now = (pooled(outcome, scenario, peer, REFERENCE) for outcome in (old, new))
            if then and now:
                made.add_row(scenario, peer, _text(then), _text(now), _change(then, now))
    return made


def _text(found: Ratio | str) -> str:
    return found if isinstance(found, str) else f"{found} ({found.between})"


def _change(then: Ratio | str, now: Ratio | str) -> str:
    if isinstance(then, str) or isinstance(now, str):
        return "unknown"
    change = f"{now.value / then.value - 1:+.1%}"
    return change if now.differs(then) else f"within the noise ({change})"


if __name__ == "__main__":
    main(prog_name="python -m bench.load.compare")
