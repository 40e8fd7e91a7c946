"""What a run's logins say together."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bench.logins.login import STEPS, Login
from bench.logins.run import Run


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds that one step took: percentiles, and of how many."""

    count: int
    p50: float
    p90: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Waits:
        """All zero of none. A percentile is one that was seen: the nearest rank."""
        ordered = sorted(seconds)
        if not ordered:
            return cls(0, 0.0, 0.0, 0.0, 0.0)
        p50, p90, p99 = (ordered[math.ceil(len(ordered) * share) - 1] for share in (0.5, 0.9, 0.99))
        return cls(len(ordered), p50, p90, p99, ordered[-1])


@dataclass(frozen=True, slots=True)
class Figures:
    """`steps` and `instances` are of the logins that succeeded; an instance has its logins' whole waits."""

    logins: int
    failed: int
    crossed: int
    late: int
    seconds: float
    cpu: float
    connections: float
    steps: dict[str, Waits]
    instances: dict[str, Waits]
    failures: dict[str, int]

    @property
    def rate(self) -> float:
        """Logins a second that succeeded."""
        return (self.logins - self.failed) / self.seconds if self.seconds else 0.0


def figures(run: Run) -> Figures:
    """Those of a run that has ended."""
    good = [login for login in run.logins if not login.failure]
    by_instance: dict[str, list[float]] = defaultdict(list)
    for login in good:
        if login.instance:
            by_instance[login.instance] += login.took["login"]
    reasons = Counter(login.failure for login in run.logins if login.failure)
    return Figures(
        logins=len(run.logins),
        failed=len(run.logins) - len(good),
        crossed=sum(login.crossed for login in run.logins),
        late=run.late,
        seconds=run.seconds,
        cpu=run.cpu,
        connections=sum(login.connections for login in good) / len(good) if good else 0.0,
        steps={step: waits for step in STEPS if (waits := step_waits(good, step)).count},
        instances={name: Waits.of(waits) for name, waits in sorted(by_instance.items())},
        failures=dict(reasons.most_common()),
    )


def step_waits(logins: Sequence[Login], step: str) -> Waits:
    """What `step` took in all of them."""
    return Waits.of([seconds for login in logins for seconds in login.took.get(step, ())])


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the run, by when logins ended: how many succeeded and failed, and the p99 of the former's waits."""

    start: float
    good: int
    failed: int
    p99: float


def slices(run: Run, most: int = 60) -> list[Slice]:
    """The run in at most `most` parts of equal length, none below a second."""
    length = max(1.0, run.seconds / most)
    parts: dict[int, list[Login]] = defaultdict(list)
    for login in run.logins:
        parts[int((login.due + login.took["login"][0]) / length)].append(login)
    return [_slice(number * length, parts[number]) for number in range(max(parts, default=-1) + 1)]


def _slice(start: float, logins: list[Login]) -> Slice:
    good = [login for login in logins if not login.failure]
    return Slice(start, len(good), len(logins) - len(good), step_waits(good, "login").p99)
