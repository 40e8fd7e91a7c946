"""Which replicas run another version, or serve another configuration, than most of them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from lbproxy.control.fleet.replica import Replica


class Difference(NamedTuple):
    """`what` is version or configuration: `here` on the replica, `elsewhere` on most, None if no value has most.

    `since` is in seconds since the epoch: when the later one of both began.
    """

    what: str
    here: str
    elsewhere: str | None
    since: float


def differences(replicas: Mapping[str, Replica]) -> dict[str, list[Difference]]:
    """By the name of the replica, for those that differ. Where no value has most, each replica differs."""
    found: dict[str, list[Difference]] = {}
    for what, since in (("version", "upgraded"), ("configuration", "configured")):
        values = {name: (str(getattr(one, what)), float(getattr(one, since))) for name, one in replicas.items()}
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
