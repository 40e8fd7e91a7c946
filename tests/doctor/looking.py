"""Reading findings in tests."""

from __future__ import annotations

from collections.abc import Iterable

from lbproxy.doctor.finding import Finding


def told(findings: Iterable[Finding]) -> list[str]:
    """Each as OUTCOME: SUBJECT: FOUND."""
    return [": ".join(filter(None, (one.outcome.value, one.subject, one.found))) for one in findings]


def only(findings: Iterable[Finding]) -> Finding:
    """The one finding."""
    [found] = findings
    return found
