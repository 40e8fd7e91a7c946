"""What the snapshot shows of a fleet: types only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict


class ReplicaDifferenceView(TypedDict):
    """`what` is version or configuration: `here` on the replica, `elsewhere` on most; None if no value has most.

    `since` is in seconds since the epoch.
    """

    what: str
    here: str
    elsewhere: str | None
    since: float


class ReplicaView(TypedDict):
    """A balancer of the fleet, as it tells of itself; `this` is the one that is asked.

    Times are seconds since the epoch: `since` it runs, `configured` since it serves this `configuration` (a digest).
    `gone` is when its lease ended without a word, None while it lives. `listeners` has the pool of each listener,
    `backends` how many each pool has in each state.
    """

    name: str
    this: bool
    host: str
    version: str
    configuration: str
    state: str
    since: float
    configured: float
    gone: float | None
    listeners: Mapping[str, str]
    backends: Mapping[str, Mapping[str, int]]
    differs: list[ReplicaDifferenceView]


class FleetView(TypedDict):
    """What this balancer knows of its fleet `name`, in which it is called `replica`.

    `membership` is joining, member, name taken (by `other`), or read-only. `unreachable_since` (seconds since the
    epoch) is there while etcd does not answer, and `error` why. `ignored` says by the key which values are not
    understood and left alone, and why.
    """

    name: str
    replica: str
    membership: str
    other: str
    unreachable_since: float | None
    error: str
    replicas: list[ReplicaView]
    ignored: dict[str, str]
