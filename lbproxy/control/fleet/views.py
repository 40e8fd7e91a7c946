"""What the snapshot shows of a fleet: types only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

ONE_AT_A_TIME = "a pool has one rollout at a time"
"""How it ends that a rollout is refused because of another one."""

CANCELLED = "the rollout was cancelled"
"""How it begins that a rollout is told to stop."""

LOCK_HOLDS = 20.0
"""Seconds for which a pool is a rollout's without being renewed. The command that holds it gives up before that."""


class ReplicaDifferenceView(TypedDict):
    """`what` (version, configuration or secret_file) is `here` on the replica, `elsewhere` on most, None if none has.

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


class WaitedForView(TypedDict):
    """A balancer that an order waits for: `what` is missing there, "" if nothing is.

    `silent`: it lives, and has not applied the order within its lease. `gone`: its lease has ended, so it is
    not waited for, though it may be cut off from etcd and serve. `down`: the pools in which the backend is down there.
    `spare`: how many backends each of its pools has in rotation there besides this one, if that is known.
    """

    replica: str
    what: str
    silent: bool
    gone: bool
    down: list[str]
    spare: dict[str, int]


class InstanceInFleetView(TypedDict):
    """What the other balancers make of the orders for an instance.

    `here_only` is why they hold here only, or may: it is not known yet who the others are. "" if etcd has them.
    """

    here_only: str
    replicas: list[WaitedForView]


class GivenView(TypedDict):
    """What an operator has ordered: by whom, when (seconds since the epoch), and on which replica."""

    value: Any
    by: str
    at: float
    replica: str


class OrderView(TypedDict):
    """The orders for a backend, by what was ordered: drain, weight, standby, or member, a backend that was added.

    `here_only` is why they hold on this balancer only, "" if etcd has them. `waits`: there is no such backend here.
    """

    pool: str
    backend: str
    given: dict[str, GivenView]
    here_only: str
    waits: bool


class RolloutView(TypedDict):
    """A rollout of `pool`, begun by `by` on `replica` ("" without a fleet) at `since` (seconds since the epoch).

    `held`: it is under way; else it has stopped, or its command has died. `updated` are the backends that are done,
    `target` is the next one, and `step` what has become of that.
    """

    pool: str
    by: str
    replica: str
    since: float
    held: bool
    target: str
    step: str
    updated: list[str]


class TicketsView(TypedDict):
    """Whether TLS sessions of clients resume on every replica whose secret has the mark `secret`; `why` not.

    `key` is the number of the key that seals tickets, `made` then (seconds since the epoch); 0 and None if none does.
    """

    secret: str
    shared: bool
    why: str
    key: int
    made: float | None


class FleetView(TypedDict):
    """What this balancer knows of its fleet `name`, in which it is called `replica`.

    `membership` is joining, member, name taken (by `other`), or read-only. `unreachable_since` (seconds since the
    epoch) is there while etcd does not answer, and `error` why. `ignored` says by the key which values are not
    understood and left alone, and why. `tickets` is None without a secret.
    """

    name: str
    replica: str
    membership: str
    other: str
    unreachable_since: float | None
    error: str
    replicas: list[ReplicaView]
    orders: list[OrderView]
    rollouts: list[RolloutView]
    tickets: TicketsView | None
    ignored: dict[str, str]
