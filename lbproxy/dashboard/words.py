"""What a page says of a backend, and of what an order would do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from lbproxy.control.snapshot import BackendView, PoolView, Snapshot
from lbproxy.control.wording import duration, said, waits

Mark = Literal["up", "down", "out", "new"]

WORDS: dict[Mark, str] = {"up": "in rotation", "down": "down", "out": "out of rotation", "new": "not probed yet"}
"""What is beside the colour."""


def mark(backend: BackendView) -> Mark:
    """How it is, in one word."""
    if backend["state"] == "down":
        return "down"
    if backend["state"] == "new" and not backend["in_rotation"]:
        return "new"
    return "up" if backend["in_rotation"] else "out"


def pool_mark(pool: PoolView) -> Mark:
    """How a pool is: down without a backend in rotation, out while some of them are missing that should be in it."""
    backends = pool["backends"]
    if not any(one["in_rotation"] for one in backends):
        return "down"
    return "up" if all(one["in_rotation"] or waits(one) for one in backends) else "out"


def why(pool: PoolView, backend: BackendView, now: float) -> Iterator[str]:
    """Why it is out of rotation, or gets less than its share, and what stands out; a sentence each.

    now: seconds since the epoch.
    """
    if backend["state"] == "down":
        reason = ": ".join(filter(None, (backend["reason_text"], backend["detail"])))
        yield f"down for {duration(backend['since_seconds'])}: {reason or 'its probe fails'}"
    if backend["held_seconds"]:
        yield f"it flaps, and may come back in {duration(backend['held_seconds'])} at the earliest"
    if backend["draining"]:
        yield "drained: it gets no new work, and finishes what it has"
    if backend["inconsistent"]:
        yield f"kept out, as it is unlike the others: {backend['inconsistent']}"
    if not backend["weight"]:
        yield "its weight is 0: it gets no turn"
    if waits(backend):
        yield "a standby: it waits until too few others are in rotation"
    if backend["ramp"] < 1:
        yield f"slow start: it gets {backend['ramp']:.0%} of its share"
    yield from pool["outliers"].get(backend["name"], ())
    if told := said(backend, now):
        yield told


class Staying(NamedTuple):
    """How many backends of a pool are in rotation after an order, and how many it has."""

    stay: int
    total: int

    def __str__(self) -> str:
        if not self.stay:
            return f"None of {self.total} stays in rotation: users will not be served"
        return f"{self.stay} of {self.total} stay{'s' if self.stay == 1 else ''} in rotation"


def staying(pool: PoolView, without: str) -> Staying:
    """If the backend of that name gets no more work."""
    others = [one for one in pool["backends"] if one["name"] != without and one["in_rotation"]]
    standbys = [one for one in pool["backends"] if one["name"] != without and waits(one)]
    return Staying(len(others) or len(standbys), len(pool["backends"]))


def find(snapshot: Snapshot, pool: str, name: str) -> tuple[PoolView, BackendView] | None:
    """The backend of that name in that pool."""
    for one in snapshot["pools"]:
        for backend in one["backends"] if one["name"] == pool else ():
            if backend["name"] == name:
                return one, backend
    return None


def summary(snapshot: Snapshot) -> str:
    """For those who hear the page: what is not in rotation."""
    parts = [
        f"{backend['name']} of {pool['name']} is {WORDS[mark(backend)]}"
        for pool in snapshot["pools"]
        for backend in pool["backends"]
        if mark(backend) != "up" and not waits(backend)
    ]
    return _some(parts) or "all backends are in rotation"


def _some(parts: Sequence[str], most: int = 5) -> str:
    more = f"; and {len(parts) - most} more" if len(parts) > most else ""
    return "; ".join(parts[:most]) + more
