"""The generation's end of the channel to the master."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from lbproxy.process.ipc.async_channel import AsyncChannel
from lbproxy.process.ipc.channel import Channel, Message, Received

Orders = Mapping[str, Callable[[Message], None]]
"""What is done on a message, by its type."""


class MasterChannel:
    """Carries out the master's `orders`; `lost` is called when there is no master any more."""

    def __init__(self, channel: Channel, orders: Orders, lost: Callable[[], None]) -> None:
        """Call it on the running loop."""
        self._orders = {**orders, "reloaded": self._reloaded}
        self._line = AsyncChannel(channel, self._received, lost)
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[Sequence[str]]] = {}

    def __repr__(self) -> str:
        return f"<upstream {self._line!r}>"

    def tell(self, kind: str, **fields: Any) -> None:
        """Send the master a message."""
        self._line.tell(kind, **fields)

    def relay(self, kind: str, **fields: Any) -> None:
        """Send a message to the generation that serves, or if that is this one, to the next."""
        self._line.tell("relay", message={"type": kind, **fields})

    async def reload(self) -> Sequence[str]:
        """Ask for a reload; what went wrong, nothing if it went well."""
        number = next(self._numbers)
        self._asked[number] = asyncio.get_running_loop().create_future()
        self._line.tell("reload", ticket=number)
        return await self._asked[number]

    def close(self) -> None:
        """Hear no more."""
        self._line.close()

    def _received(self, received: Received) -> None:
        self._orders[received.message["type"]](received.message)

    def _reloaded(self, message: Message) -> None:
        future = self._asked.pop(message["ticket"])
        if not future.done():  # whoever asked may have gone
            future.set_result(message["problems"])
