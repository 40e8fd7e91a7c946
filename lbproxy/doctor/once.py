"""What several checks need, had once: who comes first starts it, and one that gives up leaves it to the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Once(Generic[_T]):
    """What `make` returns or raises, for everybody who asks."""

    def __init__(self, make: Callable[[], Awaitable[_T]]) -> None:
        self._make = make
        self._task: asyncio.Future[_T] | None = None

    async def get(self) -> _T:
        if self._task is None:
            self._task = asyncio.ensure_future(self._make())
        return await asyncio.shield(self._task)


def in_thread(make: Callable[[], _T]) -> Once[_T]:
    """The same of a function that blocks."""
    return Once(lambda: asyncio.to_thread(make))
