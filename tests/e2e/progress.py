"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

DEADLINE = 600.0 if os.environ.get("LBPROXY_FULL") else 60.0
"""Seconds after which a test that waits for a peer has failed; no test passes or fails by being faster.

Many times what anything takes on an idle machine: the suite runs in several processes, and the machine has other work.
"""


class Progress:
    """Wakes those who wait in `until` whenever something `happened`."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def happened(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def until(self, condition: Callable[[], object], deadline: float = DEADLINE) -> None:
        """Return once `condition()` is true; TimeoutError after `deadline` seconds."""
        async with asyncio.timeout(deadline):
            while not condition():
                await self._event.wait()
