"""Two streams joined: bytes go both ways until both ends are done (modes tcp and sni, and upgraded connections)."""

from __future__ import annotations

from collections.abc import Callable

from lbproxy import reasons
from lbproxy.net.transport.poller import Handler
from lbproxy.net.transport.stream import Stream
from lbproxy.reasons import Reason


class Tunnel(Handler):
    """Joins `client` and `backend`. Each direction ends by itself (half-close); a stall ends both.

    A stream that cannot take more pauses the one that feeds it, so memory stays bounded by one receive buffer a side.
    """

    __slots__ = ("_backend", "_client", "_done", "_ended", "_patience")

    def __init__(
        self,
        client: Stream,
        backend: Stream,
        patience: float,
        done: Callable[[Reason], None],
        early: bytes = b"",
        ahead: bytes = b"",
    ) -> None:
        """patience: seconds without a byte in either direction; early, ahead: first bytes from backend and client.

        `done` is called once, after both streams were closed, with the row of why.
        """
        self._client = client
        self._backend = backend
        self._patience = patience
        self._done = done
        self._ended: set[Stream] = set()  # those that will send no more
        ahead += client.take_kept()
        for stream in (client, backend):
            stream.handler = self
            stream.patience = patience
            stream.resume()  # a client that sent much ahead of the switch was stopped
        self._feed(client, early)
        self._feed(backend, ahead)
        self._touch()

    def _feed(self, stream: Stream, data: bytes) -> None:
        if stream.closed or not data:
            return
        try:
            clear = stream.write(data)
        except OSError:
            self._close(self._why(stream))
            return
        if not clear:
            self._other(stream).pause()

    def readable(self, stream: Stream) -> None:
        other = self._other(stream)
        try:
            moved = stream.relay(other)
        except OSError:
            self._close(self._why(stream if other.error is None else other))
            return
        if moved == "end":
            self._half_closed(stream, other)
        elif moved == "queued":
            stream.pause()
        if moved != "nothing":
            self._touch()

    def writable(self, stream: Stream) -> None:
        other = self._other(stream)
        if other not in self._ended:
            other.resume()
        elif stream in self._ended:
            self._close(reasons.TUNNEL_DONE)
            return
        else:
            stream.finish_writing()
        self._touch()

    def lost(self, stream: Stream, error: object) -> None:
        self._close(self._why(stream))

    def expired(self, stream: Stream) -> None:
        if self._other(stream).deadline <= stream.poller.now:  # else that one has read of its queue since
            self._close(reasons.IDLE_TIMEOUT)

    def covered(self, stream: Stream) -> bool:
        other = self._other(stream)
        return not other.closed and other.deadline > 0

    def crashed(self, stream: Stream, error: object) -> None:
        super().crashed(stream, error)
        self._close(reasons.INTERNAL)

    def stop(self, reason: Reason) -> None:
        """End it now."""
        self._close(reason)

    def _half_closed(self, stream: Stream, other: Stream) -> None:
        stream.pause()
        self._ended.add(stream)
        if other.has_queue():
            return  # `writable` goes on from here
        if other in self._ended:
            self._close(reasons.TUNNEL_DONE)
        else:
            other.finish_writing()

    def _touch(self) -> None:
        """A byte moved, either way."""
        if not self._client.closed:
            self._client.deadline = self._backend.deadline = self._client.poller.now + self._patience

    def _other(self, stream: Stream) -> Stream:
        return self._backend if stream is self._client else self._client

    def _why(self, stream: Stream) -> Reason:
        """Why it ends with an error on `stream`, which is none on one that has said its last word.

        Many TLS implementations close then; what comes after, such as the other's close_notify, is answered by a reset.
        """
        if stream in self._ended:
            return reasons.TUNNEL_DONE
        return reasons.CLIENT_GONE if stream is self._client else reasons.TUNNEL_CUT

    def _close(self, reason: Reason) -> None:
        if self._client.closed and self._backend.closed:
            return
        clean = reason is reasons.TUNNEL_DONE
        for stream in (self._client, self._backend):
            if clean:
                stream.close()
            else:
                stream.abort()
        self._done(reason)
