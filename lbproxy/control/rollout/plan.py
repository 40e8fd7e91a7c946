"""Which instances a rollout updates, in which order, and whether their pools can do without one of them.

An instance is the backends of one name: it is updated once, and is out of every pool that has it meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from lbproxy.balance import full_name
from lbproxy.control.snapshot import BackendView, InstanceView, PoolView, Snapshot
from lbproxy.control.wording import has_the_pool
from lbproxy.errors import RolloutError
from lbproxy.wire.hosts import port_of


@dataclass(frozen=True, slots=True)
class Target:
    """An instance to be updated, as the backend of the pool that the rollout is for; `also` are its other pools."""

    pool: str
    name: str
    url: str
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        return full_name.join(self.pool, self.name)

    @property
    def host(self) -> str:
        """The host of the URL; an IPv6 address without its brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port of the URL, or its scheme's own."""
        return port_of(urlsplit(self.url))


def choose_pool(snapshot: Snapshot, name: str | None) -> PoolView:
    """The pool called `name`; None: the only one. Raises RolloutError if there is no such, or no only one."""
    pools = {pool["name"]: pool for pool in snapshot["pools"]}
    if name is None and len(pools) == 1:
        return snapshot["pools"][0]
    if name is None:
        raise RolloutError(f"there are several pools; choose one of {', '.join(pools)}")
    if name not in pools:
        raise RolloutError(f"there is no pool {name}; there is {', '.join(pools)}")
    return pools[name]


def pools_with(snapshot: Snapshot, name: str) -> list[PoolView]:
    """The pools that have a backend called `name`."""
    return [pool for pool in snapshot["pools"] if any(one["name"] == name for one in pool["backends"])]


def plan(
    snapshot: Snapshot, pool: PoolView, start: str | None, keep: int, expected: Collection[str] = ()
) -> list[Target]:
    """The instances of `pool` in the order of the configuration, from the one called `start` on.

    `keep` is how many backends must stay in rotation at any time, in each pool of `snapshot` that has the instance;
    `expected` are the names of the facts that will be waited for. Raises RolloutError when the rollout must not begin.
    """
    targets = [_target(snapshot, pool, backend) for backend in pool["backends"]]
    if start is not None:
        targets = _from(targets, start)
    for name in pools_of(targets):
        refuse_another(snapshot, name)
    _refuse_drained(snapshot, pool, start)
    _refuse_unknown_facts(pool, expected)
    for target in targets:
        check_spare(pools_with(snapshot, target.name), target.name, keep)
    return targets


def pools_of(targets: Iterable[Target]) -> list[str]:
    """The pools that have any of them, sorted."""
    return sorted({name for target in targets for name in (target.pool, *target.also)})


def refuse_another(snapshot: Snapshot, pool: str) -> None:
    """Raises RolloutError if another rollout has the pool called `pool`."""
    for one in snapshot.get("rollouts", []):  # one of another version knows none, perhaps
        if one["pool"] == pool and one["held"]:
            raise RolloutError(has_the_pool(one))


def check_spare(pools: Iterable[PoolView], name: str, keep: int) -> None:
    """Raises RolloutError unless each of `pools` has `keep` backends in rotation besides the one called `name`."""
    for pool in pools:
        others = [one["name"] for one in pool["backends"] if one["in_rotation"] and one["name"] != name]
        if len(others) < keep:
            raise RolloutError(
                f"without {name}, pool {pool['name']} has {len(others)} in rotation ({', '.join(others) or 'none'});"
                f" {keep} must stay"
            )


def check_spare_elsewhere(instance: InstanceView, name: str, keep: int) -> None:
    """The same on the other replicas of the fleet: each of them probes and ejects by itself."""
    for replica in [] if instance["fleet"] is None else instance["fleet"]["replicas"]:
        for pool, count in replica["spare"].items():
            if count < keep:
                raise RolloutError(
                    f"without {name}, pool {pool} has {count} in rotation on {replica['replica']}; {keep} must stay"
                )


def _target(snapshot: Snapshot, pool: PoolView, backend: BackendView) -> Target:
    names = (each["name"] for each in pools_with(snapshot, backend["name"]))
    return Target(pool["name"], backend["name"], backend["url"], tuple(name for name in names if name != pool["name"]))


def _from(targets: Sequence[Target], start: str) -> list[Target]:
    names = [target.name for target in targets]
    if start not in names:
        raise RolloutError(f"there is no backend {start} to begin with; there is {', '.join(names)}")
    return list(targets[names.index(start) :])


def _refuse_drained(snapshot: Snapshot, pool: PoolView, start: str | None) -> None:
    """An operator who drained an instance wants it out, and the rollout would bring it back.

    `start` may be drained: a rollout that stopped has left it so.
    """
    names = {one["name"] for one in pool["backends"]} - {start}
    drained = [
        one["name"] if each["name"] == pool["name"] else f"{each['name']}/{one['name']}"
        for each in snapshot["pools"]
        for one in each["backends"]
        if one["draining"] and one["name"] in names
    ]
    if drained:
        raise RolloutError(
            f"{', '.join(drained)}: drained already; end that with lbproxy ready, or begin with it (--from)"
        )


def _refuse_unknown_facts(pool: PoolView, expected: Collection[str]) -> None:
    """A fact that is read at no backend would be waited for in vain, with the first backend drained."""
    known = {fact for backend in pool["backends"] for fact in backend["facts"]}
    if unknown := sorted(set(expected) - known):
        raise RolloutError(f"no backend of pool {pool['name']} tells its {', '.join(unknown)}")
