"""How a client connection is closed by lbproxy without destroying the answer that is still on its way."""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.net.transport.poller import Handler
from lbproxy.net.transport.stream import Stream

LINGER = 2.0
"""Seconds to wait for the client's end."""
LINGER_BYTES = 16 * 1024 * 1024
"""What a client may still send meanwhile; it is dropped."""


class LingeringClose(Handler):
    """Sends what is queued and closes; `gently`, it reads on until the client has closed (RFC 9112 section 9.6).

    Closing a socket with unread bytes resets the connection, and the reset can overtake the answer.
    """

    __slots__ = ("_allowance", "_done", "_gently")

    def __init__(self, stream: Stream, gently: bool, done: Callable[[], None]) -> None:
        """`done` is called once, when the stream is closed."""
        self._gently = gently
        self._done = done
        self._allowance = stream.received + LINGER_BYTES
        stream.handler = self
        if stream.has_queue():
            stream.deadline = stream.poller.now + stream.patience
        else:
            self.writable(stream)

    def writable(self, stream: Stream) -> None:
        if not self._gently:
            self._close(stream)
            return
        stream.finish_writing()
        stream.deadline = stream.poller.now + LINGER
        stream.resume()

    def readable(self, stream: Stream) -> None:
        if not stream.discard() or stream.received > self._allowance:
            self._close(stream)

    def lost(self, stream: Stream, error: object) -> None:
        self._close(stream)

    def expired(self, stream: Stream) -> None:
        self._close(stream)

    def crashed(self, stream: Stream, error: object) -> None:
        super().crashed(stream, error)
        self._done()

    def _close(self, stream: Stream) -> None:
        stream.close()
        self._done()
