"""How the cost of one proxy compares with that of another, and how sure that is.

A machine gets slower and faster while it measures, for all proxies alike. So rounds are compared in pairs, each with
the other proxy's of the same turn, and the result is the median of the pairs' ratios. What is left between the pairs is
the noise: where it is too wide there is no ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from statistics import median
from typing import Self

from bench.load.outcome import Outcome, Result

MAX_SPREAD = 1.1
"""The widest `Ratio.spread` that is believed."""

_DOUBT = 0.1  # how probable it may be that the true median is outside of `low` and `high`


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of ratios, and the two between which it truly lies with 90 % probability.

    These are order statistics, so that nothing is assumed of how ratios are distributed. With five to seven of them
    they are the least and the greatest, with more some outliers at both ends do not count. Fewer than five cannot be so
    sure.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Self:
        ordered, cut = sorted(ratios), _outliers(len(ratios))
        return cls(median(ordered), ordered[cut], ordered[-1 - cut])

    def __str__(self) -> str:
        return f"{self.value:.2f}"

    @property
    def spread(self) -> float:
        return self.high / self.low

    @property
    def between(self) -> str:
        return f"{self.low:.2f} to {self.high:.2f}"

    def differs(self, other: Ratio) -> bool:
        """Whether the two are too far apart to be the same thing measured twice."""
        return self.low > other.high or self.high < other.low


def ratio(own: Result | None, reference: Result | None) -> Ratio | str:
    """CPU time a request of `own` over that of `reference` in the same run, or why there is none to be trusted."""
    return _of_pairs([(own, reference)] if own and reference else [])


def pooled(outcome: Outcome, scenario: str, peer: str, reference: str) -> Ratio | str:
    """The same over the rounds of all runs together."""
    pairs = [(run.of(scenario, peer), run.of(scenario, reference)) for run in outcome.runs]
    return _of_pairs([(own, other) for own, other in pairs if own and other])


def _of_pairs(pairs: Sequence[tuple[Result, Result]]) -> Ratio | str:
    if not pairs:
        return ""
    failed = [f"{one.peer}: {one.errors} errors" for pair in pairs for one in pair if one.errors]
    if failed:
        return "; ".join(failed)
    ratios = [value for own, reference in pairs for value in _of_rounds(own, reference)]
    if len(ratios) < 2:
        return "one round"
    found = Ratio.of(ratios)
    return found if found.spread <= MAX_SPREAD else f"noise: {found.between}"


def _of_rounds(own: Result, reference: Result) -> list[float]:
    return [mine.cpu_us / theirs.cpu_us for mine, theirs in zip(own.rounds, reference.rounds, strict=True)]


def _outliers(count: int) -> int:
    """How many of `count` ordered ratios may be left out at each end: both tails of the sign test's distribution."""
    left_out, tail = 0, 1
    while (tail := tail + comb(count, left_out + 1)) * 2 <= _DOUBT * 2**count:
        left_out += 1
    return left_out
