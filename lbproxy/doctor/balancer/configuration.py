"""The configuration file, and all that it names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from lbproxy.doctor.balancer.sight import Asked
from lbproxy.doctor.finding import Finding, ok, problem, warning
from lbproxy.errors import Problem
from lbproxy.preflight import inspect

WHY = "lbproxy would not start, or not do what the file seems to say."
WHY_EXPIRY = "Users are refused, or warned by their browsers, from the hour when it ends."


def files(asked: Asked) -> Iterator[Finding]:
    """What `lbproxy check` says."""
    report = inspect(asked.config, datetime.now(UTC))
    bad = asked.config.located((*report.problems, *report.tolerated))
    doubtful = asked.config.located(report.warnings)
    for one in bad:
        yield problem(one.text, repair=_repair(asked, one), subject=one.where)
    for one in doubtful:
        yield warning(one.text, repair=_repair(asked, one), subject=one.where)
    if not bad and not doubtful:
        yield ok(f"{asked.path} is fit to run, and serves {asked.config.server_url}")


def _repair(asked: Asked, found: Problem) -> str:
    line = "" if found.line is None else f":{found.line}"
    return f"set {found.where} in {asked.path}{line}, then: lbproxy check -c {asked.path} && lbproxy reload"


def expiries(asked: Asked) -> Iterator[Finding]:
    """What ends first; what ends soon, or has ended, is the other check's."""
    found = sorted(inspect(asked.config, datetime.now(UTC)).expiries, key=lambda one: one.expires)
    if not found:
        yield ok("no certificate and no revocation list is in use")
        return
    first = found[0]
    when = f"{first.what} ({first.where}) ends first, on {first.expires:%Y-%m-%d}"
    if first.left.total_seconds() < 0:
        yield problem(f"{first.what} ({first.where}) ended on {first.expires:%Y-%m-%d}", repair=_renew(first.where))
    else:
        yield ok(f"{len(found)} certificates and revocation lists; the {when}")


def _renew(where: str) -> str:
    return f"put a new one at the path that {where} names; lbproxy picks it up"
