"""What was counted elsewhere: by generations before this one, and by its workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypedDict

from lbproxy.status import counters
from lbproxy.status.counters import Counters


class Accounts(TypedDict):
    """`ended` is the sum of all generations that are gone, `draining` has those that still count, by their number."""

    ended: Counters
    draining: dict[str, Counters]


class CounterHistory:
    """What all processes have counted: those of this generation, and of those before it."""

    def __init__(self, generation: Callable[[], list[Counters]], inherited: Accounts | None = None) -> None:
        """generation: takes the counters of each process of this generation."""
        self._generation = generation
        self._ended = inherited["ended"] if inherited else {}
        self._draining = dict(inherited["draining"]) if inherited else {}

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

    def told(self, generation: int, counted: Counters) -> None:
        """An older generation, which drains, has counted that."""
        self._draining[str(generation)] = counted

    def gone(self, generation: int) -> None:
        """It has ended."""
        counted = self._draining.pop(str(generation), None)
        if counted is not None:
            self._ended = counters.total([counters.past(counted), self._ended])

    def accounts(self, number: int) -> Accounts:
        """For the next generation; `number` is this one's."""
        return {"ended": self._ended, "draining": {**self._draining, str(number): self.own()}}

    def _others(self) -> list[Counters]:
        return [*self._draining.values(), self._ended]
