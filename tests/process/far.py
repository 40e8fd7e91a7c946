"""The other end of a line, as the test plays it."""

from __future__ import annotations

from typing import Generic, TypeVar

from lbproxy.process.ipc.channel import Channel
from lbproxy.process.ipc.message import Message
from lbproxy.process.ipc.messages import Hears, Says
from tests.net.peers import until

Wanted = TypeVar("Wanted", bound=Message)


class Far(Generic[Says, Hears]):
    """The other end of a line: `heard` has what was told."""

    def __init__(self, channel: Channel[Says, Hears]) -> None:
        self.channel = channel
        self.heard: list[Hears] = []
        self.closed = False

    def say(self, message: Says) -> None:
        self.channel.send(message)

    async def hears(self, wanted: type[Wanted]) -> Wanted:
        """The next message of that type; those before it are forgotten."""
        await until(lambda: self._look(wanted))
        while not isinstance(message := self.heard.pop(0), wanted):
            pass
        return message

    def _look(self, wanted: type[Message]) -> bool:
        self.heard += [received.message for received in self.channel.receive()]
        return any(isinstance(message, wanted) for message in self.heard)

    def close(self) -> None:
        self.closed = True
        self.channel.close()
