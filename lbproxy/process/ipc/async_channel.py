"""A channel on an asyncio loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic

from lbproxy.process.ipc.channel import Channel, Received
from lbproxy.process.ipc.messages import Hears, Says


class AsyncChannel(Generic[Says, Hears]):
    """Calls `received` with each message and `ended` once, when the peer has gone. Belongs to the running loop."""

    def __init__(
        self, channel: Channel[Says, Hears], received: Callable[[Received[Hears]], None], ended: Callable[[], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel = channel
        self._received = received
        self._ended = ended
        self._open = True
        self._loop.add_reader(channel.fileno(), self._readable)
        # The kernel does not tell of what was taken in already, behind an earlier message.
        self._loop.call_soon(self._readable)

    def __repr__(self) -> str:
        return f"<line over {self._channel!r}>"

    def send(self, message: Says) -> None:
        """Send a message; nothing, if the peer has gone."""
        if self._open:
            self._channel.send(message)
            if self._channel.has_queue:
                self._loop.add_writer(self._channel.fileno(), self._writable)

    @property
    def is_behind(self) -> bool:
        """Whether what was sent waits for the peer to take it in."""
        return self._channel.has_queue

    def finish(self) -> None:
        """The peer has ended: hear what it has said last, and close."""
        self._readable()
        self.close()

    def close(self) -> None:
        """Hear no more; the channel closes when everything was sent that can be sent now."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._channel.fileno())
            self._loop.remove_writer(self._channel.fileno())
            self._channel.flush()
            self._channel.close()

    def _readable(self) -> None:
        if not self._open:
            return
        try:
            found = self._channel.receive()
        except EOFError:
            self.close()
            self._ended()
            return
        for received in found:
            self._received(received)

    def _writable(self) -> None:
        self._channel.flush()
        if not self._channel.has_queue:
            self._loop.remove_writer(self._channel.fileno())
