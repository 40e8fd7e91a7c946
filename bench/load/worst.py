"""What several runs say together: of each scenario the worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.load.outcome import Outcome, Result
from bench.load.peers import REFERENCE
from bench.load.ratio import Ratio, ratio

OWN = "lbproxy"


@dataclass(frozen=True, slots=True)
class Worst:
    """The greatest ratio of any run, the run's index, and in how many of the runs there was one to be trusted.

    Without any, `ratio` is the reason of the first run that has one, or "" when nothing was to be compared.
    """

    ratio: Ratio | str
    run: int
    trusted: int
    runs: int

    def __str__(self) -> str:
        return f"{self.ratio} ({self.trusted} of {self.runs} runs)" if 0 < self.trusted < self.runs else str(self.ratio)


def worst(outcome: Outcome, scenario: str, reference: str) -> Worst:
    """How lbproxy compares with `reference`, in its worst run."""
    found = [ratio(run.of(scenario, OWN), run.of(scenario, reference)) for run in outcome.runs]
    run, trusted = _greatest(found)
    return Worst(found[run], run, trusted, len(found))


def shown(outcome: Outcome, scenario: str) -> list[Result]:
    """The results of all proxies in one run, so that they can be compared: the worst one for lbproxy."""
    preferred = outcome.runs[worst(outcome, scenario, REFERENCE).run]
    tables = ([one for one in run.results if one.scenario == scenario] for run in (preferred, *outcome.runs))
    return next(filter(None, tables))  # without a reference, the first run that could measure it


def longest(outcome: Outcome, scenario: str) -> list[Result]:
    """The results of all proxies in the run in which lbproxy made small requests beside the load wait the longest."""
    tables = [[one for one in run.results if one.scenario == scenario] for run in outcome.runs]
    return max(filter(None, tables), key=_longest_wait)


def _longest_wait(results: Sequence[Result]) -> float:
    return max((one.beside_us(kind, "p99") for one in results if one.peer == OWN for kind in one.beside), default=0.0)


def _greatest(found: Sequence[Ratio | str]) -> tuple[int, int]:
    """The index of the greatest ratio, and how many there are."""
    ratios = [(one.value, index) for index, one in enumerate(found) if isinstance(one, Ratio)]
    if ratios:
        return max(ratios)[1], len(ratios)
    return next((index for index, one in enumerate(found) if one), 0), 0
