"""What was counted elsewhere: by generations before this one, and by its workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from lbproxy.control.snapshot import BackendInPool, Snapshot
from lbproxy.status import counters
from lbproxy.status.counters import Counters


class Accounts(TypedDict):
    """`ended` is the sum of all generations that are gone, `draining` has those that still count, by their number."""

    ended: Counters
    draining: dict[str, Counters]


class CounterHistory:
    """`own` takes the counters of this process, `workers` that of its workers, if it has any."""

    def __init__(
        self, own: Callable[[], Counters], workers: Callable[[], Counters], inherited: Accounts | None = None
    ) -> None:
        self._own = own
        self._workers = workers
        self._ended = inherited["ended"] if inherited else {}
        self._draining = dict(inherited["draining"]) if inherited else {}

    def __repr__(self) -> str:
        return f"<counter_history with {len(self._draining)} draining>"

    def own(self) -> Counters:
        """What this generation has counted until now."""
        return counters.total([self._own(), self._workers()])

    def told(self, generation: int, counted: Counters) -> None:
        """An older generation, which drains, has counted that."""
        self._draining[str(generation)] = counted

    def gone(self, generation: int) -> None:
        """It has ended."""
        counted = self._draining.pop(str(generation), None)
        if counted is not None:
            self._ended = counters.total([self._ended, counters.past(counted)])

    def accounts(self, number: int) -> Accounts:
        """For the next generation; `number` is this one's."""
        return {"ended": self._ended, "draining": {**self._draining, str(number): self.own()}}

    def complete(self, snapshot: Snapshot) -> Snapshot:
        """`snapshot`, which shows what this process counted, with everything else."""
        counters.complete(snapshot, self._others())
        return snapshot

    def complete_backend(self, found: BackendInPool) -> BackendInPool:
        """The same for one backend."""
        counters.complete_backend(found["pool"], found["backend"], self._others())
        return found

    def _others(self) -> Counters:
        return counters.total([self._ended, *self._draining.values(), self._workers()])
