"""`python -m bench.load`: measure lbproxy beside other proxies."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.console import show
from bench.load.options import peers_option
from bench.load.outcome import Outcome
from bench.load.page import check_page, write_page
from bench.load.peers import PEERS, Peer
from bench.load.plot import svg
from bench.load.report import beside, heading, summary, table
from bench.load.rounds import Plan
from bench.load.run import about, check_machine, fitted, run, steps
from bench.load.run import programs as programs_of
from bench.load.saved import save
from bench.load.scenario import TABLE, Scenario
from bench.load.targets import SCENARIOS, standing
from bench.options import Names

_FILE = click.Path(dir_okay=False, path_type=Path)


def _new_file() -> Path:
    """No run replaces an older one's file."""
    return Path("build/bench", f"{datetime.now():%Y-%m-%d-%H%M%S}.json")


@click.command()
@peers_option
@click.option("--scenarios", type=Names(list(TABLE)), help="All of them unless given.")
@click.option("--targets", is_flag=True, help="The scenarios that have a target, unless --scenarios names others.")
@click.option(
    "--programs",
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    help="A folder with other versions of nginx and haproxy, as bench/newer makes it.",
)
@click.option("--runs", type=click.IntRange(1), default=1, show_default=True, help="The worst one is reported.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Of each proxy, in each scenario.")
@click.option("--seconds", type=click.IntRange(1), default=5, show_default=True, help="Of load in one round.")
@click.option("--connections", type=click.IntRange(1), default=64, show_default=True, help="Of clients, at once.")
@click.option("--json", "file", type=_FILE, default=_new_file, help="The figures; build/bench/TIME.json unless given.")
@click.option("--svg", "picture", type=_FILE, help="The ratios, drawn; beside the figures unless given.")
@click.option("--markdown", "page", type=_FILE, help="A page that the tables are to be written into, too.")
def main(
    peers: list[str],
    scenarios: list[str] | None,
    targets: bool,
    programs: str | None,
    runs: int,
    rounds: int,
    seconds: int,
    connections: int,
    file: Path,
    picture: Path | None,
    page: Path | None,
) -> None:
    """What a request costs lbproxy, and what it costs others under the same load. bench/README.md has the method.

    With --url URL it does something else: real logins at that address. `--url= --help` says how.

    The exit status is 1 when a scenario could not be measured.
    """
    if page:
        check_page(page)
    if programs:
        os.environ["PATH"] = os.pathsep.join((programs, os.environ["PATH"]))
    names = scenarios or (SCENARIOS if targets else list(TABLE))
    chosen, rows = [PEERS[name] for name in ("lbproxy", *peers)], [TABLE[name] for name in names]
    outcome = _measured(chosen, rows, Plan(rounds, seconds, connections), runs, file)
    picture = picture or file.with_suffix(".svg")
    picture.write_text(svg(outcome))
    if page:
        write_page(outcome, page, picture)
    more = [made for made in (beside(outcome), standing(outcome)) if made]
    show(heading(outcome), table(outcome), summary(outcome), *more)
    click.echo(f"saved: {file} and {picture}", err=True)
    raise SystemExit(outcome.failed)


def _measured(peers: list[Peer], rows: list[Scenario], plan: Plan, runs: int, file: Path) -> Outcome:
    """The runs, with a bar on standard error; what there is is saved after each of them."""
    check_machine(["wrk", *programs_of(peers)])
    rows = fitted(rows, plan)
    outcome = Outcome(about(peers, rows, plan), ())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    times = (TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, *times, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=runs * steps(peers, rows, plan))
        for number in range(1, runs + 1):

            def step(what: str, prefix: str = f"run {number}: " if runs > 1 else "") -> None:
                progress.update(task, advance=1, description=prefix + what)

            outcome = outcome.with_run(run(peers, rows, plan, step))
            save(outcome, file)
    return outcome


def _command() -> click.Command:
    """With --url it is another one: no other proxies, but real logins at an address."""
    if any(argument.split("=")[0] == "--url" for argument in sys.argv[1:]):
        from bench.logins.command import logins

        return logins
    return main


if __name__ == "__main__":
    _command()(prog_name="python -m bench.load")
