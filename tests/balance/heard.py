"""An observer that remembers what it was told."""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.balance.backend import Backend
from lbproxy.balance.feed import Observer
from lbproxy.balance.health import Change
from lbproxy.balance.pool import Pool
from lbproxy.reasons import Reason


class Verdicts(Observer):
    """Calls `told` with each verdict, and with nothing else."""

    def __init__(self, told: Callable[[Backend, Change, Reason | None, str], object]) -> None:
        self.told = told

    def changed(self, pool: Pool, backend: Backend, change: Change | None, reason: Reason | None, detail: str) -> None:
        if change is not None:
            self.told(backend, change, reason, detail)


class Feed(Observer):
    """Everything, as short words: "+a" joined, "-a" left, "a" changed, "a:eject" a verdict."""

    def __init__(self, pool: Pool) -> None:
        self.words: list[str] = []
        pool.observers.append(self)

    def joined(self, pool: Pool, backend: Backend) -> None:
        self.words.append(f"+{backend.name}")

    def left(self, pool: Pool, backend: Backend) -> None:
        self.words.append(f"-{backend.name}")

    def changed(self, pool: Pool, backend: Backend, change: Change | None, reason: Reason | None, detail: str) -> None:
        self.words.append(backend.name if change is None else f"{backend.name}:{change.value}")
