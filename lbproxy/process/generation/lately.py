"""What happened lately: the last events of the log, and the last hour of each backend; see `control.admin.recent`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.control.admin.recent import HistoryView
from lbproxy.control.log.forwarder import EventForwarder
from lbproxy.control.log.logged_event import LoggedEvent
from lbproxy.control.log.recent import EventsView, RecentEvents
from lbproxy.status.counters import Counters
from lbproxy.status.history import History
from lbproxy.status.windows import Windows

PASS_ON_EVERY = 1.0
"""Seconds between two messages of a generation that has been replaced."""

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
        events: RecentEvents | None = None,
    ) -> None:
        """counted: what all processes have counted of a backend. events: None: those of `before`."""
        self.events = events or RecentEvents(before.get("events") if before else None)
        self._forwarder: EventForwarder | None = None
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

    def of_worker(self, index: int, events: Iterable[LoggedEvent]) -> None:
        """A worker of this generation has logged these."""
        name = f"{self.events.process} worker {index}".lstrip()
        self.events.put([one._replace(process=name) for one in events])

    def of_others(self, events: Iterable[LoggedEvent]) -> None:
        """The master has, or a generation that drains: the next generation hears them from the master too."""
        self.events.put(events, pass_on=False)

    def hand_over(self, relay: Callable[[list[LoggedEvent]], bool]) -> None:
        """The next generation has what was until now; `relay` sends it what follows, or says that it cannot now."""
        if self._forwarder is None:
            self._forwarder = EventForwarder("", PASS_ON_EVERY, relay)
            self.events.pass_on = self._forwarder.put

    def finish(self) -> None:
        """Tell the next generation of the last ones."""
        if self._forwarder is not None:
            self._forwarder.stop()

    async def events_after(self, number: int, within: float) -> EventsView:
        """See `Recent`."""
        return await self.events.wait(number, within)

    def last_hour(self, pool: str = "", backend: str = "") -> HistoryView:
        """See `Recent`."""
        return self.history.view(pool, backend)
