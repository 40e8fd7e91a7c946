"""A state that changes, and tasks that wait until it is as they want it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress


class Changes:
    """To be told of every change of that state; any number of tasks may wait."""

    def __init__(self) -> None:
        self._next: asyncio.Event | None = None  # what is waited for, if anything does

    def tell(self) -> None:
        """There was one: those that wait look again."""
        if self._next is not None:
            self._next.set()
            self._next = None

    async def until(self, condition: Callable[[], bool], within: float | None = None) -> bool:
        """Wait until `condition`, `within` seconds at the most, None: as long as it takes. Returns whether it is so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not condition():
                    if self._next is None:
                        self._next = asyncio.Event()
                    await self._next.wait()
        return condition()
