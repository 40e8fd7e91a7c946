"""Which backends a rollout updates, in which order, and whether their pool can do without one of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from lbproxy.control.snapshot import PoolView, Snapshot
from lbproxy.errors import RolloutError
from lbproxy.wire.hosts import port_of


@dataclass(frozen=True, slots=True)
class Target:
    """A backend to be updated."""

    pool: str
    name: str
    url: str

    def __str__(self) -> str:
        return f"{self.pool}/{self.name}"

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


def plan(pool: PoolView, start: str | None, keep: int, expected: Collection[str] = ()) -> list[Target]:
    """The backends of `pool` in the order of the configuration, from the one called `start` on.

    `keep` is how many must stay in rotation at any time; `expected` are the names of the facts that will be waited
    for. Raises RolloutError when the rollout must not begin.
    """
    targets = [Target(pool["name"], backend["name"], backend["url"]) for backend in pool["backends"]]
    if start is not None:
        targets = _from(targets, start)
    _refuse_drained(pool, start)
    _refuse_unknown_facts(pool, expected)
    for target in targets:
        check_spare(pool, target.name, keep)
    return targets


def check_spare(pool: PoolView, name: str, keep: int) -> None:
    """Raises RolloutError unless `keep` backends of `pool` are in rotation besides the one called `name`."""
    others = [one["name"] for one in pool["backends"] if one["in_rotation"] and one["name"] != name]
    if len(others) < keep:
        raise RolloutError(
            f"without {name}, pool {pool['name']} has {len(others)} in rotation ({', '.join(others) or 'nobody'});"
            f" {keep} must stay"
        )


def _from(targets: Sequence[Target], start: str) -> list[Target]:
    names = [target.name for target in targets]
    if start not in names:
        raise RolloutError(f"there is no backend {start} to begin with; there is {', '.join(names)}")
    return list(targets[names.index(start) :])


def _refuse_drained(pool: PoolView, start: str | None) -> None:
    """Whoever drained a backend wants it out, and the rollout would bring it back; `start` is what it left itself."""
    drained = [one["name"] for one in pool["backends"] if one["draining"] and one["name"] != start]
    if drained:
        raise RolloutError(
            f"{', '.join(drained)}: drained already; end that with lbproxy ready, or begin with it (--from)"
        )


def _refuse_unknown_facts(pool: PoolView, expected: Collection[str]) -> None:
    """A fact that is read at no backend would be waited for in vain, with the first backend drained."""
    known = {fact for backend in pool["backends"] for fact in backend["facts"]}
    if unknown := sorted(set(expected) - known):
        raise RolloutError(f"no backend of pool {pool['name']} tells its {', '.join(unknown)}")
