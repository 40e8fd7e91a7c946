"""`python -m bench.members reaction`, `python -m bench.members churn`."""

from __future__ import annotations

import asyncio
import os

import click

from bench.console import show
from bench.members import churn, reaction
from bench.members.places import PAIRS, PLACES
from bench.options import Names
from bench.processes import LOAD_CORE, allow_descriptors

_KINDS = Names(list(PLACES))


@click.group()
def main() -> None:
    """What it costs when backends come and go."""
    os.sched_setaffinity(0, {LOAD_CORE})
    allow_descriptors(8192)


@main.command("reaction")
@click.option("--kinds", type=_KINDS, default="file,etcd,dns,kubernetes", show_default=True, help="Of sources.")
@click.option("--times", type=click.IntRange(1), default=20, show_default=True, help="That a backend comes and goes.")
def _reaction(kinds: list[str], times: int) -> None:
    """From an event at the source to the backend in rotation, and out of it."""
    found = {kind: asyncio.run(reaction.measure(kind, times)) for kind in kinds}
    show("milliseconds after the event: median, longest", reaction.table(found))


@main.command("churn")
@click.option("--kinds", type=Names(list(PAIRS)), default="file,etcd", show_default=True, help="Of sources.")
@click.option("--members", type=click.IntRange(4), default=1000, show_default=True)
@click.option("--rate", type=float, default=10.0, show_default=True, help="Changes a second.")
@click.option("--seconds", type=click.IntRange(1), default=10, show_default=True, help="Of a round.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Of either kind.")
def _churn(kinds: list[str], members: int, rate: float, seconds: int, rounds: int) -> None:
    """Many members, some of which change all the time: CPU time, and what users wait."""
    found = {kind: asyncio.run(churn.measure(kind, members, rate, seconds, rounds)) for kind in kinds}
    show(f"{members:,} members; waits in milliseconds", churn.table(found))


if __name__ == "__main__":
    main(prog_name="python -m bench.members")
