"""The other end of a line, as the test plays it."""

from __future__ import annotations

from typing import Any

from lbproxy.process.ipc.channel import Channel, Message
from tests.net.peers import until


class Far:
    """The other end of a line: `heard` has what was told."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.heard: list[Message] = []
        self.closed = False

    def say(self, kind: str, **fields: Any) -> None:
        self.channel.send({"type": kind, **fields})

    async def hears(self, kind: str) -> Message:
        """The next message of that type; those before it are forgotten."""
        await until(lambda: self._look(kind))
        while (message := self.heard.pop(0))["type"] != kind:
            pass
        return message

    def _look(self, kind: str) -> bool:
        self.heard += [received.message for received in self.channel.receive()]
        return any(message["type"] == kind for message in self.heard)

    def close(self) -> None:
        self.closed = True
        self.channel.close()
