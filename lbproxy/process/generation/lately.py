"""What happened lately: the last events of the log, and the last hour of each backend; see `control.admin.recent`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.control.admin.recent import HistoryView
from lbproxy.control.log.recent import EventsView, RecentEvents
from lbproxy.status.counters import Counters
from lbproxy.status.history import History
from lbproxy.status.windows import Windows

if TYPE_CHECKING:
    from lbproxy.process.generation.handover import HandoverState


class Lately:
    """Of one generation; those before it have left what they knew."""

    def __init__(
        self,
        pools: Mapping[str, Pool],
        windows: Windows,
        counted: Callable[[Pool, Backend], Counters],
        before: HandoverState | None,
    ) -> None:
        """counted: what all processes have counted of a backend."""
        self.events = RecentEvents(before.get("events") if before else None)
        self.history = History(
            pools,
            lambda pool, backend, now: windows.of(pool, backend, counted(pool, backend), now)["minute"],
            before.get("history") if before else None,
        )

    def __repr__(self) -> str:
        return f"<{self.events!r}, {self.history!r}>"

    def start(self, stack: AsyncExitStack, on_tick: list[Callable[[float], None]]) -> None:
        """Note from now on."""
        logging.getLogger().addHandler(self.events)
        stack.callback(logging.getLogger().removeHandler, self.events)
        on_tick.append(self.history.tick)

    async def events_after(self, number: int, within: float) -> EventsView:
        """See `Recent`."""
        return await self.events.wait(number, within)

    def last_hour(self, pool: str = "", backend: str = "") -> HistoryView:
        """See `Recent`."""
        return self.history.view(pool, backend)
