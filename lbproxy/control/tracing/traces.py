"""Requests that were recorded for a trace, until they are handed over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lbproxy.control.counts import TracingView
from lbproxy.record import Trace

LIMIT = 512
"""So many wait at most. Each has about a kilobyte."""

AT_ONCE = 64
"""So many are handed over at once."""

HAND_OVER_AFTER = 0.2
"""Seconds that one waits for company."""


class Traces:
    """Belongs to one event loop. `put` never waits; what finds no room is dropped and counted."""

    def __init__(self) -> None:
        self.sampled = self.dropped = 0
        self.hand_over: Callable[[list[Trace]], bool] = lambda _: False
        """Takes some of them; False: not now."""
        self._waiting: list[Trace] = []
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Traces sampled={self.sampled} dropped={self.dropped} waiting={len(self._waiting)}>"

    def put(self, trace: Trace) -> None:
        """A sampled request has ended."""
        self.sampled += 1
        if len(self._waiting) >= LIMIT:
            self.dropped += 1
            return
        self._waiting.append(trace)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(HAND_OVER_AFTER, self._again)

    def flush(self) -> None:
        """Hand over what waits, as far as it is taken."""
        while self._waiting and self.hand_over(self._waiting[:AT_ONCE]):
            del self._waiting[:AT_ONCE]

    def stop(self) -> None:
        """The same, and drop the rest."""
        self.flush()
        self.dropped += len(self._waiting)
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def counted(self) -> TracingView:
        """Numbers so far."""
        return {"sampled": self.sampled, "exported": 0, "dropped": self.dropped}

    def _again(self) -> None:
        self._timer = None
        self.flush()
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(HAND_OVER_AFTER, self._again)
