"""Results as they might have been measured."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from bench.load.load import Load
from bench.load.outcome import Outcome, Result, Round, Run


def result(peer: str, *costs: float, errors: int = 0, scenario: str = "small") -> Result:
    """A result whose rounds, of 1,000 requests in half a second, took `costs` microseconds a request."""
    load = Load(1000, errors, 0.5, 300_000, 1500.0, 2000.0, 3000.0)
    return Result(scenario, peer, 5_000_000, tuple(Round(load, round(cost * 1_000_000)) for cost in costs))


def busy(peer: str, p50: float, p99: float, errors: int = 0) -> Result:
    """A result of a scenario with small requests beside its load, which took that many milliseconds."""
    load = Load(1000, 0, 0.5, 300_000, 1500.0, 2000.0, 3000.0)
    small = Load(200, errors, 1.0, 12_800, 1000 * p50, 1000 * p99, 1000 * p99)
    return Result("busy", peer, 5_000_000, (Round(load, 10_000_000, {"new": small}),) * 2)


def outcome(*runs: list[Result]) -> Outcome:
    return Outcome({"plan": {"rounds": 2}}, tuple(Run(tuple(results), {}) for results in runs))


def rows(shown: Table) -> list[list[str]]:
    """The cells of the table's rows as they are printed."""
    console = Console(width=200)
    with console.capture() as captured:
        console.print(shown)
    lines = [line for line in captured.get().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
