"""The PROXY header of a client connection that came through another balancer, before anything else (TLS too)."""

from __future__ import annotations

from collections.abc import Callable

from lbproxy import reasons
from lbproxy.net.transport.peer import Peer
from lbproxy.net.transport.poller import Handler, Poller
from lbproxy.net.transport.stream import Stream
from lbproxy.reasons import Reason
from lbproxy.wire.proxyproto import MalformedProxyHeader, parse


class ProxyHeaderReader(Handler):
    """Reads exactly the header, and passes the connection on with the peer that it names.

    Only made for peers whose header is required: without one there is no connection (HAProxy's proxy-protocol.txt,
    section 2: a receiver must not guess).
    """

    __slots__ = ("_came", "_header", "_refused", "_stream", "peer")

    def __init__(
        self,
        fd: int,
        peer: Peer,
        poller: Poller,
        patience: float,
        came: Callable[[ProxyHeaderReader, int, Peer], None],
        refused: Callable[[ProxyHeaderReader, Reason], None],
    ) -> None:
        """fd: of a socket that does not block, owned from now on; patience: seconds for the header.

        Either callable is called once.
        """
        self.peer = peer
        self._came = came
        self._refused = refused
        self._header = b""
        self._stream = Stream(poller, fd, self)
        self._stream.deadline = poller.now + patience
        self._stream.start()

    def __repr__(self) -> str:
        return f"<PROXY header reader of {self.peer.name}>"

    def readable(self, stream: Stream) -> None:
        try:
            data = stream.peek()
        except OSError:
            data = b""
        if data is None:
            return
        try:
            header = parse(self._header + data)
        except MalformedProxyHeader:
            self._end(reasons.PROXY_HEADER_MALFORMED)
            return
        if header is not None:
            stream.skip(header.size - len(self._header))
            peer = self.peer if header.source is None else Peer(header.source, header.destination)
            self._came(self, stream.release(), peer)
        elif data:
            self._header += data
            stream.skip(len(data))
        else:
            self._end(reasons.CLIENT_GONE)

    def lost(self, stream: Stream, error: object) -> None:
        self._end(reasons.CLIENT_GONE)

    def expired(self, stream: Stream) -> None:
        self._end(reasons.PROXY_HEADER_TIMEOUT)

    def crashed(self, stream: Stream, error: object) -> None:
        super().crashed(stream, error)
        self._end(reasons.INTERNAL)

    def drain(self) -> None:
        """It has asked nothing yet; it goes on until its header is there."""

    def stop(self, reason: Reason) -> None:
        """End it now."""
        self._end(reason)

    def _end(self, reason: Reason) -> None:
        self._stream.close()
        self._refused(self, reason)
