"""`python -m bench.load`: measure lbproxy beside other proxies, or compare two saved runs."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.console import console, show
from bench.load.options import peers_option
from bench.load.outcome import Outcome
from bench.load.peers import PEERS
from bench.load.plot import svg
from bench.load.report import comparison, heading, table
from bench.load.rounds import Plan
from bench.load.run import run, steps
from bench.load.scenario import TABLE
from bench.options import Names

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@peers_option
@click.option("--scenarios", type=Names(list(TABLE)), default=",".join(TABLE), help="All of them unless given.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Of each peer and scenario.")
@click.option("--seconds", type=click.IntRange(1), default=5, show_default=True, help="Of load in one round.")
@click.option("--connections", type=click.IntRange(1), default=64, show_default=True, help="Of clients, at once.")
@click.option("--max-spread", type=float, default=1.1, show_default=True, help="Dearest round to cheapest.")
@click.option("--json", "save", type=_FILE, help="Save the run in this file.")
@click.option("--svg", "picture", type=_FILE, help="Draw the ratios in this file.")
@click.option("--compare", type=_FILE, nargs=2, help="Measure nothing; show two saved runs, the old and the new.")
def main(
    peers: list[str],
    scenarios: list[str],
    rounds: int,
    seconds: int,
    connections: int,
    max_spread: float,
    save: Path | None,
    picture: Path | None,
    compare: tuple[Path, Path] | None,
) -> None:
    """What a request costs lbproxy, and what it costs others under the same load. bench/README.md has the method.

    A ratio is given only where the rounds differ by less than --max-spread. The exit status is 1 when a scenario
    could not be measured.
    """
    if compare:
        old, new = (Outcome.read(path) for path in compare)
        console().print(comparison(old, new, max_spread))
        return
    outcome = _run(["lbproxy", *peers], scenarios, Plan(rounds, seconds, connections))
    if save:
        outcome.save(save)
    if picture:
        picture.write_text(svg(outcome, max_spread))
    show(heading(outcome), table(outcome, max_spread))
    if outcome.failures:
        raise SystemExit(1)


def _run(names: list[str], scenarios: list[str], plan: Plan) -> Outcome:
    """The run, with a bar on standard error."""
    peers, rows = [PEERS[name] for name in names], [TABLE[name] for name in scenarios]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=steps(peers, rows, plan))

        def step(what: str) -> None:
            progress.update(task, advance=1, description=what)

        return run(peers, rows, plan, step)


if __name__ == "__main__":
    main(prog_name="python -m bench.load")
