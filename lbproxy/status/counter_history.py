"""What was counted elsewhere: by generations before this one, and by its workers.

A name's counters only grow, or begin at 0. So when a backend leaves, what others have counted of it is forgotten: one
that comes back under this name is another backend, and its counters begin at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypedDict

from lbproxy.balance.backend import Backend
from lbproxy.balance.feed import Observer
from lbproxy.balance.pool import Pool
from lbproxy.status import counters
from lbproxy.status.counters import Counters


class Accounts(TypedDict):
    """`ended` is the sum of all generations that are gone, `draining` has those that still count, by their number."""

    ended: Counters
    draining: dict[str, Counters]


class CounterHistory(Observer):
    """What all processes have counted: those of this generation, and of those before it."""

    def __init__(self, generation: Callable[[], list[Counters]], inherited: Accounts | None = None) -> None:
        """generation: takes the counters of each process of this generation."""
        self._generation = generation
        self._ended = inherited["ended"] if inherited else {}
        self._draining = dict(inherited["draining"]) if inherited else {}
        self._killed: set[str] = set()  # whose workers go on, and say nothing
        self._heard: dict[str, int | None] = {}  # the revision of orders that those had heard of before they counted

    def __repr__(self) -> str:
        return f"<counter_history with {len(self._draining)} draining>"

    def own(self) -> Counters:
        """What this generation has counted until now."""
        return counters.total(self._generation())

    def total(self) -> Counters:
        """The same of all generations."""
        return counters.total([*self._generation(), *self._others()])

    def of_backend(self, name: str, own: Iterable[Counters]) -> Counters:
        """What all have counted of the backend POOL/NAME. own: what each process of this generation has."""
        return counters.total([*own, *(counters.of_backend_alone(one, name) for one in self._others())])

    def heard(self, revision: int) -> int | None:
        """The revision of the fleet's orders, `revision` at most, of which all had heard before they counted.

        None: one of them has not said so yet. Workers of a killed one hear nothing: see `orphans`.
        """
        if self._draining.keys() - self._heard.keys():
            return None
        return min([revision, *(one for one in self._heard.values() if one is not None)])

    def told(self, generation: int, counted: Counters, orders: int | None = None) -> None:
        """An older generation, which drains, has counted that. Backends that have left meanwhile are left out.

        orders: the revision of the fleet's orders of which it had heard before; None if it has no fleet.
        """
        before = self._draining.get(str(generation))
        if before is not None:
            known, told = before.get("backends", {}), counted.get("backends", {})
            counted = {**counted, "backends": {name: one for name, one in told.items() if name in known}}
        self._draining[str(generation)] = counted
        self._heard[str(generation)] = orders

    def killed(self, generation: int) -> None:
        """It was killed, and its workers finish what they have; what it had counted is all that is known of them."""
        self._killed.add(str(generation))
        self._heard[str(generation)] = None

    @property
    def orphans(self) -> int:
        """How many generations were killed and have workers that may still send requests anywhere."""
        return len(self._killed)

    def gone(self, generation: int) -> None:
        """It has ended."""
        counted = self._draining.pop(str(generation), None)
        self._heard.pop(str(generation), None)
        self._killed.discard(str(generation))
        if counted is not None:
            self._ended = counters.total([counters.past(counted), self._ended])

    def left(self, pool: Pool, backend: Backend) -> None:
        """See `Observer`."""
        for one in self._others():
            one.get("backends", {}).pop(counters.key(pool, backend), None)

    def follow(self, pools: Collection[Pool]) -> None:
        """Forget backends that `pools` do not have, now and from now on."""
        names = {counters.key(pool, backend) for pool in pools for backend in pool.backends}
        for pool in pools:
            pool.observers.append(self)
        for one in self._others():
            backends = one.get("backends", {})
            for name in backends.keys() - names:
                del backends[name]

    def accounts(self, number: int) -> Accounts:
        """For the next generation; `number` is this one's."""
        return {"ended": self._ended, "draining": {**self._draining, str(number): self.own()}}

    def _others(self) -> list[Counters]:
        return [*self._draining.values(), self._ended]
