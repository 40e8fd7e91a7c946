"""Modes tcp and sni: the bytes of a connection pass unread, also TLS; each goes to the next backend in rotation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.net.listener.listener import Listener
from lbproxy.net.passthrough.record import record
from lbproxy.net.transport.lingering_close import LingeringClose
from lbproxy.net.transport.peer import Peer
from lbproxy.net.transport.poller import Handler, Poller, monotonic
from lbproxy.net.transport.stream import Stream
from lbproxy.net.transport.tunnel import Tunnel
from lbproxy.net.upstream.lane import Lane, Personal, ProxyVersion
from lbproxy.reasons import Fault, Reason
from lbproxy.record import Record
from lbproxy.wire import clienthello
from lbproxy.wire.clienthello import INTERNAL_ERROR, MISSING_EXTENSION, UNRECOGNIZED_NAME, alert
from lbproxy.wire.proxyproto import encode


class Routes:
    """Which pool a connection is for: by the server name of its ClientHello (mode sni), or always the same (tcp)."""

    def __init__(self, pool: Pool | None, by_name: Mapping[str, Pool] | None = None) -> None:
        """pool: for mode tcp. by_name: for mode sni; "*.example.com" stands for one label more."""
        self.pool = pool
        self._by_name = dict(by_name or {})

    def __repr__(self) -> str:
        return f"<routes {self.pool or self._by_name}>"

    def find(self, server_name: str) -> Pool | None:
        """The pool for a name in lower case."""
        found = self._by_name.get(server_name)
        return self._by_name.get(f"*.{server_name.partition('.')[2]}") if found is None else found


@dataclass(frozen=True, slots=True)
class PassOptions:
    """Times in seconds."""

    header_timeout: float
    idle_timeout: float
    logs: bool = False
    send_proxy: Mapping[Pool, ProxyVersion] | None = None  # pools whose backends get a PROXY header


class PassService:
    """What all client connections of a tcp or sni listener share. log gets each connection's record."""

    def __init__(self, options: PassOptions, poller: Poller, routes: Routes, log: Callable[[Record], None]) -> None:
        self.options = options
        self.poller = poller
        self.routes = routes
        self.log = log
        self.requests = 0
        self.on_fast_path = 0
        self.needs_destination = bool(options.send_proxy)

    def __repr__(self) -> str:
        return f"<pass service {self.routes!r}>"

    def serve(self, listener: Listener, fd: int, peer: Peer) -> None:
        """See `listener.Service`."""
        connection = PassthroughConnection(listener, self, Stream(self.poller, fd, Handler()), peer)
        listener.connections.add(connection)
        connection.begin()

    def refusal(self, reason: Reason) -> bytes:
        """See `listener.Service`."""
        return b"" if self.routes.pool is not None else alert(INTERNAL_ERROR)

    def drain(self) -> None:
        """Nothing to do: no message can be sent into bytes that are not read. See `listener.Service`."""

    def resume(self) -> None:
        """See `drain`."""

    def personal(self, pool: Pool, peer: Peer) -> Personal:
        """What a lane begins with."""
        version = (self.options.send_proxy or {}).get(pool, "none")
        return Personal(b"" if version == "none" else encode(version, peer.source, peer.destination))


class PassthroughConnection(Handler):
    """One client connection: its ClientHello (mode sni), a lane, and then a tunnel between the two.

    The client is read only for its ClientHello until there is a lane, so nothing of it is lost with a refused connect.
    """

    __slots__ = (
        "_hello",
        "_lane",
        "_pool",
        "_reader",
        "_tried",
        "_tries",
        "_tunnel",
        "connected_at",
        "listener",
        "peer",
        "server_name",
        "service",
        "since",
        "stream",
    )

    def __init__(self, listener: Listener, service: PassService, stream: Stream, peer: Peer) -> None:
        self.listener = listener
        self.service = service
        self.stream = stream
        self.peer = peer
        self.server_name = ""
        self.since = monotonic()
        self.connected_at = 0.0  # when its lane was there; 0: not reached
        self._hello = b""
        self._reader = clienthello.HelloReader()
        self._pool = service.routes.pool
        self._lane: Lane | None = None
        self._tried: tuple[Backend, ...] = ()  # and those of its pool that are never asked
        self._tries = 0
        self._tunnel: Tunnel | None = None
        stream.handler = self

    def __repr__(self) -> str:
        return f"<passthrough connection of {self.peer.name} on {self.listener.name}>"

    @property
    def pool(self) -> Pool | None:
        """None until it is known."""
        return self._pool

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The one that it has, if it has it."""
        return () if self._lane is None else (self._lane,)

    @property
    def phase(self) -> Literal["hello", "waiting", "tunnel", "closing"]:
        """What it waits for: its ClientHello, a lane, bytes, or nothing more."""
        if self._tunnel is not None:
            return "tunnel"
        return "closing" if self.stream.handler is not self else "hello" if self._pool is None else "waiting"

    def begin(self) -> None:
        """Find out where to go, and go there."""
        if self._pool is not None:
            self._enter(self._pool)
        else:
            self.stream.deadline = self.service.poller.now + self.service.options.header_timeout
            self.stream.start()

    # --- the ClientHello

    def readable(self, stream: Stream) -> None:
        try:
            data = stream.read()
        except OSError:
            data = b""
        if data is None:
            return
        if not data:
            self._end(reasons.CLIENT_GONE)
            return
        self._hello += data
        try:
            hello = self._reader.read(self._hello)
        except clienthello.HelloError as error:
            self._refuse(
                reasons.NOT_TLS if isinstance(error, clienthello.NotTls) else reasons.HELLO_MALFORMED, error.alert
            )
            return
        if hello is not None:
            stream.pause()
            stream.deadline = 0
            self._route(hello.server_name)

    def expired(self, stream: Stream) -> None:
        self._refuse(reasons.HELLO_TIMEOUT, alert(clienthello.DECODE_ERROR))

    def _route(self, server_name: str | None) -> None:
        if server_name is None:
            self._refuse(reasons.SNI_MISSING, alert(MISSING_EXTENSION))
            return
        self.server_name = server_name
        pool = self.service.routes.find(server_name)
        if pool is None:
            self._refuse(reasons.SNI_UNKNOWN, alert(UNRECOGNIZED_NAME))
        else:
            self._enter(pool)

    # --- a lane

    def _enter(self, pool: Pool) -> None:
        self._pool = pool
        self._tried = pool.that_only_pass(False)  # they are there for requests
        self._next()

    def _next(self) -> None:
        """The next backend in rotation that takes the connection."""
        assert self._pool is not None
        while True:
            backend = self._pool.pick(self._tried)
            if backend is None:
                self._unserved(reasons.NO_BACKEND)
                return
            opened = backend.lanes.open(self, self.service.personal(self._pool, self.peer))
            if isinstance(opened, Lane):
                self._lane = opened
                backend.begin()
                return
            if not self._passed_over(backend, *opened):
                return

    def _passed_over(self, backend: Backend, reason: Reason, detail: str) -> bool:
        """A connect failed and no byte is lost: True if the next backend may be tried."""
        if reason.fault is Fault.LBPROXY:
            self._unserved(reason)
            return False
        backend.connect_failures += 1
        backend.retried_from += 1
        self._tried += (backend,)
        self._tries += 1
        self._evidence(backend, reason, detail)
        return True

    def lane_ready(self, lane: Lane) -> None:
        """See `lane.Waiter`."""
        service = self.service
        lane.begin(self._tries)
        self._tries += 1
        self.connected_at = monotonic()
        lane.claim(self)
        lane.join()
        service.requests += 1
        ahead, self._hello = self._hello, b""
        self._tunnel = Tunnel(self.stream, lane.stream, service.options.idle_timeout, self._closed, ahead=ahead)

    def lane_unready(self, lane: Lane, reason: Reason, detail: str) -> None:
        """See `lane.Waiter`."""
        self._lane = None
        lane.backend.leave()
        if self._passed_over(lane.backend, reason, detail):
            self._next()

    def lane_gone(self, lane: Lane) -> None:
        """See `lane.Waiter`: never, for a lane has no idle time here."""
        raise AssertionError(lane)

    def broken(self, error: Exception) -> None:
        """See `lane.Waiter`."""
        self.crashed(self.stream, error)

    def covered(self, stream: Stream) -> bool:
        """While a lane is opened, within connect_timeout."""
        return self._lane is not None and not self._lane.closed and self._lane.stream.deadline > 0

    def _evidence(self, backend: Backend, reason: Reason, detail: str = "") -> None:
        assert self._pool is not None
        if reason.counts is not reasons.Counts.NOTHING:
            self._pool.evidence(backend, reason, self.service.poller.now, detail)

    # --- endings

    def drain(self) -> None:
        """It goes on until one of its ends has had enough."""

    def cut(self, backend: Backend, reason: Reason) -> None:
        """End it now, if it is on a lane to `backend`."""
        if self._lane is not None and self._lane.backend is backend:
            self.stop(reason)

    def stop(self, reason: Reason) -> None:
        """End it now."""
        if self._tunnel is not None:
            self._tunnel.stop(reason)
        else:
            self._end(reason)

    def crashed(self, stream: Stream, error: object) -> None:
        super().crashed(stream, error)
        self._end(reasons.INTERNAL)

    def _closed(self, reason: Reason) -> None:
        """The tunnel has ended."""
        lane = self._lane
        assert lane is not None
        if reason.counts is reasons.Counts.NOTHING:
            lane.backend.errors_in_row = 0
        self._evidence(lane.backend, reason)
        self._end(reason)

    def _unserved(self, reason: Reason) -> None:
        if self.server_name:
            self._refuse(reason, alert(INTERNAL_ERROR))
        else:
            self._end(reason)

    def _refuse(self, reason: Reason, words: bytes) -> None:
        """Tell the client why in the language of TLS (RFC 8446 section 6.2), and close."""
        if self.stream.closed:
            return
        with suppress(OSError):
            self.stream.write(words)
        LingeringClose(self.stream, True, lambda: self._end(reason))

    def _end(self, reason: Reason) -> None:
        lane, self._lane = self._lane, None
        if lane is not None:
            if lane.tunnel:  # `_tunnel` may not be there yet: a lane can end while it is made
                lane.backend.end(0)
            else:
                lane.backend.leave()
            lane.close(None)
        # A reset: without an answer, an orderly end would look like one.
        if not self.stream.closed:
            self.stream.abort()
        if self.service.options.logs:
            names = self.listener.name, self.peer.name, self.server_name
            times = self.since, self.connected_at
            self.service.log(record(self.stream, *names, lane, self._tries, times, reason))
        self.listener.forget(self, reason)
