"""The time that one call takes: many calls a sample, several samples, and what they say together."""

from __future__ import annotations

import timeit
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import median

from bench.micro.case import Case

SAMPLES = 15
SAMPLE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Timing:
    """Nanoseconds a call: of the best sample, which noise can only raise, and of the median one."""

    best_ns: float
    median_ns: float

    @property
    def noise(self) -> float:
        """How far the median is above the best: 0.0 on a quiet machine."""
        return self.median_ns / self.best_ns - 1

    def change(self, before: Timing) -> str:
        """In percent, by the best samples: what disturbs a sample only ever makes it longer."""
        change = self.best_ns / before.best_ns - 1
        return f"{change:+.0%}" if abs(change) > max(self.noise, before.noise) else f"within the noise ({change:+.0%})"


def measure(case: Case) -> Timing:
    """Time one of the `times` that a call does its work; the cost of calling an empty function is taken off."""
    empty = _of_an_empty_call()
    best, middle = (max(taken - empty, 0.1) / case.times for taken in _sampled(case.call))
    return Timing(best, middle)


def _sampled(call: Callable[[], object]) -> tuple[float, float]:
    timer = timeit.Timer(call)
    count, seconds = timer.autorange()  # as many calls as fill 0.2 s
    count = max(1, round(count * SAMPLE_SECONDS / seconds))
    samples = [second / count * 1e9 for second in timer.repeat(SAMPLES, count)]
    return min(samples), median(samples)


@cache
def _of_an_empty_call() -> float:
    return _sampled(lambda: None)[0]
