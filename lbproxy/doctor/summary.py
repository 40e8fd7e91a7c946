"""The exit status of a run, and the whole as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from lbproxy.doctor.examination import Result
from lbproxy.doctor.finding import Outcome

FINE, PROBLEMS, WARNINGS = 0, 1, 2


def counts(results: Sequence[Result]) -> Counter[Outcome]:
    """How many findings there are of each outcome."""
    return Counter(one.outcome for result in results for one in result.findings)


def exit_status(results: Sequence[Result]) -> int:
    """0 fine, 1 a problem, 2 warnings only. What was not seen changes nothing."""
    found = counts(results)
    if found[Outcome.PROBLEM]:
        return PROBLEMS
    return WARNINGS if found[Outcome.WARNING] else FINE


def as_json(results: Sequence[Result], took: float) -> dict[str, Any]:
    """took: seconds of the whole run."""
    return {
        "status": {FINE: "ok", PROBLEMS: "problem", WARNINGS: "warning"}[exit_status(results)],
        "took_seconds": round(took, 3),
        "counts": {str(outcome): counts(results)[outcome] for outcome in Outcome},
        "checks": [_check(result) for result in results],
    }


def _check(result: Result) -> dict[str, Any]:
    return {
        "name": result.check.name,
        "area": result.check.area,
        "outcome": str(result.outcome),
        "took_seconds": round(result.took, 3),
        "findings": [{**one._asdict(), "outcome": str(one.outcome)} for one in result.findings],
    }
