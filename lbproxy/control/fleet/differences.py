"""Which replicas run another version, serve another configuration, or have another secret than most of them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from lbproxy.control.fleet.replica import Replica


class Difference(NamedTuple):
    """`what` (version, configuration or secret_file) is `here` on the replica, `elsewhere` on most, None if none has.

    `since` is in seconds since the epoch: when the later one of both began.
    """

    what: str
    here: str
    elsewhere: str | None
    since: float


_ASPECTS = (
    ("version", "version", "upgraded"),
    ("configuration", "configuration", "configured"),
    ("secret_file", "secret", "configured"),
)
"""What they may differ in, the field of a replica that has it, and the one that says since when."""


def differences(replicas: Mapping[str, Replica]) -> dict[str, list[Difference]]:
    """By the name of the replica, for those that differ. Where no value has most, each replica differs."""
    found: dict[str, list[Difference]] = {}
    for what, value, since in _ASPECTS:
        values = {name: (getattr(one, value) or "none", getattr(one, since)) for name, one in replicas.items()}
        for name, difference in _in_one(what, values):
            found.setdefault(name, []).append(difference)
    return found


def _in_one(what: str, values: Mapping[str, tuple[str, float]]) -> list[tuple[str, Difference]]:
    ranking = Counter(value for value, _ in values.values()).most_common(2)
    if len(ranking) < 2:
        return []
    most = ranking[0][0] if ranking[0][1] > ranking[1][1] else None
    differing = []
    for name, (value, since) in values.items():
        if value != most:
            others = min(at for other, at in values.values() if other != value and most in (None, other))
            differing.append((name, Difference(what, value, most, max(since, others))))
    return differing
