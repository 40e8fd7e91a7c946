"""The generation's end of the channel to the master."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import count

from lbproxy.control.log.logged_event import LoggedEvent
from lbproxy.process.ipc.async_channel import AsyncChannel
from lbproxy.process.ipc.channel import Channel, Received
from lbproxy.process.ipc.master_messages import (
    BetweenGenerations,
    FromGeneration,
    Logged,
    Relay,
    Reload,
    Reloaded,
    ToGeneration,
)
from lbproxy.process.ipc.messages import to_fields


class MasterChannel:
    """Calls `told` with the master's messages, and `lost` when there is no master any more."""

    def __init__(
        self,
        channel: Channel[FromGeneration, ToGeneration],
        told: Callable[[ToGeneration], None],
        lost: Callable[[], None],
    ) -> None:
        """Call it on the running loop."""
        self._told = told
        self._line = AsyncChannel(channel, self._received, lost)
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Sequence[str]]] = {}

    def __repr__(self) -> str:
        return f"<upstream {self._line!r}>"

    def send(self, message: FromGeneration) -> None:
        """Send the master a message."""
        self._line.send(message)

    def relay(self, message: BetweenGenerations) -> None:
        """Send a message to the generation that serves, or if that is this one, to the next; `Operated` to all."""
        self._line.send(Relay(to_fields(message)))

    def relay_events(self, events: list[LoggedEvent]) -> bool:
        """The same of what was logged; not while the master is behind: False."""
        if self._line.is_behind:
            return False
        self.relay(Logged(events))
        return True

    async def reload(self) -> Sequence[str]:
        """Ask for a reload; what went wrong, nothing if it went well."""
        number = next(self._numbers)
        self._asked[number] = asyncio.get_running_loop().create_future()
        self._line.send(Reload(number))
        return await self._asked[number]

    def close(self) -> None:
        """Hear no more."""
        self._line.close()

    def _received(self, received: Received[ToGeneration]) -> None:
        if isinstance(received.message, Reloaded):
            self._reloaded(received.message)
        else:
            self._told(received.message)

    def _reloaded(self, message: Reloaded) -> None:
        future = self._asked.pop(message.ticket)
        if not future.done():  # the caller may have gone
            future.set_result(message.problems)
