"""What lbproxy is held to beside others, and how far the runs are from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table

from bench.load.outcome import Outcome, Result, Round, Run
from bench.load.peers import AS_BASE
from bench.load.ratio import Ratio
from bench.load.worst import OWN


def _cpu(one: Round) -> float:
    return one.cpu_us


def _p50(one: Round) -> float:
    return one.beside["new"].p50_us


def _p99(one: Round) -> float:
    return one.beside["new"].p99_us


@dataclass(frozen=True, slots=True)
class Target:
    """`measure` of a round of lbproxy, over that of the best of `peers` in the same turn, is at most `limit`."""

    scenario: str
    limit: float
    peers: tuple[str, ...]
    what: str = "CPU time"
    measure: Callable[[Round], float] = _cpu

    def __str__(self) -> str:
        return f"{self.limit:.2f} of {' and '.join(self.peers)}"


_SAFE = ("nginx-safe", "haproxy-safe")

TARGETS = (
    Target("login", 0.90, _SAFE),
    Target("login-401", 0.90, _SAFE),
    Target("tokens", 0.95, ("haproxy-safe",)),
    Target("tokens-tls", 0.95, ("haproxy-safe",)),
    Target("tls-new", 1.00, ("nginx",)),
    Target("tls-resumed", 1.00, ("nginx",)),
    Target("tls-client", 1.00, ("nginx",)),
    Target("minted", 1.30, ("haproxy",)),
    Target("small", 0.80, ("nginx",)),
    Target("browser", 0.80, ("nginx",)),
    Target("tls", 0.80, ("nginx",)),
    Target("idle-10000", 1.10, (AS_BASE,)),
    Target("backends-1000", 1.10, (AS_BASE,)),
    Target("busy", 1.50, ("haproxy",), "p50 of new connections", _p50),
    Target("busy", 1.50, ("haproxy",), "p99 of new connections", _p99),
)

SCENARIOS = list(dict.fromkeys(target.scenario for target in TARGETS))
"""The names of those that have a target."""


def standing(outcome: Outcome) -> Table | None:
    """A row for each target that was measured; None: none was.

    For each run there is the median of the rounds' ratios, to the peer that makes it the greatest, and between which
    two it truly lies with 90 % probability (`Ratio`). The greatest median of any run is what counts.
    """
    made = Table("scenario", "lbproxy's", "target", *_headings(outcome), "", box=box.MARKDOWN)
    for target in TARGETS:
        found = [_hardest(target, run) for run in outcome.runs]
        ratios = [one[0] for one in found if one is not None]
        if ratios:
            cells = ["" if one is None else _cell(target, *one) for one in found]
            made.add_row(target.scenario, target.what, str(target), *cells, _verdict(target, ratios))
    return made if made.row_count else None


def _headings(outcome: Outcome) -> list[str]:
    return ["median, interval"] if len(outcome.runs) == 1 else [f"run {n}" for n, _ in enumerate(outcome.runs, 1)]


def _hardest(target: Target, run: Run) -> tuple[Ratio, str] | None:
    """The greatest ratio that lbproxy has to one of the target's peers, and the peer; None: it was not measured."""
    own = run.of(target.scenario, OWN)
    others = [other for name in target.peers if (other := run.of(target.scenario, name)) is not None]
    if own is None or len(others) < len(target.peers) or any(one.errors for one in (own, *others)):
        return None
    found = [(Ratio.of(_pairs(target, own, other)), other.peer) for other in others]
    return max(found, key=lambda one: one[0].value)


def _pairs(target: Target, own: Result, other: Result) -> list[float]:
    return [
        target.measure(mine) / target.measure(theirs) for mine, theirs in zip(own.rounds, other.rounds, strict=True)
    ]


def _cell(target: Target, found: Ratio, peer: str) -> str:
    return f"{found} ({found.between})" + (f" {peer}" if len(target.peers) > 1 else "")


def _verdict(target: Target, ratios: Sequence[Ratio]) -> str:
    over = max(one.value for one in ratios) - target.limit
    return "met" if over < 0.005 else f"missed by {over:.2f}"
