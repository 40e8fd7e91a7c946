"""A run's figures in the terminal, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from rich.table import Table

from bench.logins.figures import Figures, Waits

BUSY = 0.8
"""Of one core: above it the load generator's own waits are in the figures."""


def heading(figures: Figures, what: str) -> str:
    """What was done, and how it went, in a few lines."""
    return "\n".join((what, *_sentences(figures)))


def _sentences(figures: Figures) -> Iterator[str]:
    good = figures.logins - figures.failed
    yield f"{good} of {figures.logins} logins succeeded in {figures.seconds:.1f} s: {figures.rate:.1f} a second"
    if good:
        yield f"{figures.connections:.2f} connections a login"
    if figures.crossed:
        yield f"ANSWERED AS ANOTHER USER: {figures.crossed} logins. Stop, and find out why, before anything else."
    if figures.late:
        yield f"{figures.late} more were due and never began: the server is slower than --rate, or --users are too few"
    if figures.cpu > BUSY:
        yield f"this load generator was busy at {figures.cpu:.0%} of a core: its own waits are in the figures"


def tables(figures: Figures) -> Iterator[Table]:
    """Steps; instances, where they are known; failures, where there are any."""
    if figures.steps:
        yield _waits("step, ms", figures.steps)
    if figures.instances:
        yield _instances(figures)
    if figures.failures:
        table = Table("why logins failed", "logins")
        table.columns[1].justify = "right"
        for reason, count in figures.failures.items():
            table.add_row(reason, str(count))
        yield table


def _instances(figures: Figures) -> Table:
    total = sum(waits.count for waits in figures.instances.values())
    return _waits("instance, ms", figures.instances, [f"{it.count / total:.2%}" for it in figures.instances.values()])


def _waits(title: str, rows: dict[str, Waits], shares: list[str] | None = None) -> Table:
    table = Table(title, "count", "p50", "p90", "p99", "longest", *(["share"] if shares else []))
    for column in table.columns[1:]:
        column.justify = "right"
    for row, (name, waits) in enumerate(rows.items()):
        table.add_row(name, *cells(waits), *([shares[row]] if shares else []))
    return table


def cells(waits: Waits) -> tuple[str, ...]:
    """The count, and milliseconds."""
    times = (waits.p50, waits.p90, waits.p99, waits.longest)
    return str(waits.count), *(f"{seconds * 1000:.1f}" for seconds in times)


def as_json(figures: Figures, what: str, options: str) -> str:
    """All of them, in seconds; `options` are those of the command line."""
    return json.dumps({"what": what, "options": options, **asdict(figures), "rate": figures.rate}, indent=1) + "\n"
