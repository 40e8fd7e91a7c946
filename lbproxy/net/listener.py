"""A listener: it accepts client connections, and holds what all of them share."""

from __future__ import annotations

import errno
import ipaddress
import logging
import socket
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.net.client import ClientConnection
from lbproxy.net.exchange import Site
from lbproxy.net.record import Record
from lbproxy.net.stream import Handler, Poller, Stream
from lbproxy.net.tls import ServerTls
from lbproxy.reasons import Reason

_log = logging.getLogger(__name__)

ACCEPT_AT_ONCE = 64
"""Connections accepted for one event: more would keep those that are open waiting."""

HINT_EVERY = 60.0
"""Seconds between two hints of one kind."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """What a listener does besides its `Site`. allow and trust are networks of clients; allow None: everybody."""

    name: str
    server_url: str
    max_connections: int
    retry_after: int
    trust: Sequence[Network] = ()
    allow: Sequence[Network] | None = None
    on_empty: Callable[[], None] = lambda: None  # the last client connection has ended


class Listener:
    """Accepts on `sock` and makes a `ClientConnection` of each client.

    `connections` are those that are open. `ends` counts how requests and connections ended, by the reason's label;
    `refused` those that were turned away before they could ask anything.
    """

    def __init__(
        self,
        options: ListenerOptions,
        sock: socket.socket,
        poller: Poller,
        site: Site,
        pool: Pool,
        tls: ServerTls | None,
        log: Callable[[Record], None],
    ) -> None:
        """sock: bound, listening and non-blocking. log is called with each request's record if `site.logs`."""
        self.options = options
        self.name = options.name
        self.retry_after = options.retry_after
        self.socket = sock
        self.poller = poller
        self.site = site
        self.pool = pool
        self.tls = tls
        self.log = log
        self.connections: set[ClientConnection] = set()
        self.accepted = 0
        self.refused: defaultdict[str, int] = defaultdict(int)
        self.ends: defaultdict[str, int] = defaultdict(int)
        self._origins = {origin for backend in pool.backends for origin in _origins(backend)}
        self._public = options.server_url.encode()
        self._accepting = False
        self._next_hint = 0.0
        self._no_delay = sock.family != socket.AF_UNIX

    def __repr__(self) -> str:
        return f"<listener {self.name} {len(self.connections)} connections>"

    # --- accepting

    def start(self) -> None:
        """Accept from now on."""
        if not self._accepting and not self.site.draining:
            self._accepting = True
            self.poller.loop.add_reader(self.socket.fileno(), self._accept)

    def pause(self) -> None:
        """Accept no more; what waits stays in the kernel's queue."""
        if self._accepting:
            self._accepting = False
            self.poller.loop.remove_reader(self.socket.fileno())

    def _accept(self) -> bool:
        """A batch of those that wait; whether there may be more."""
        for _ in range(ACCEPT_AT_ONCE):
            try:
                sock, address = self.socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return False
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._exhausted(error)
                return False
            self._greet(sock, address)
        return True

    def _exhausted(self, error: OSError) -> None:
        """No descriptors: go on with those that are open; the connections that wait are accepted a second later."""
        _log.error("accept_paused", extra={"fields": {"listener": self.name, "error": error.strerror}})
        self.pause()
        self.poller.loop.call_later(1.0, self.start)

    def _greet(self, sock: socket.socket, address: tuple[str, int] | str) -> None:
        host, peer = _names(address)
        parsed = ipaddress.ip_address(host) if host and (self.options.trust or self.options.allow is not None) else None
        reason = self._why_not(parsed)
        if reason is not None:
            self.refused[reason.label] += 1
            sock.close()
            return
        self.accepted += 1
        sock.setblocking(False)
        if self._no_delay:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        trusted = parsed is not None and any(parsed in network for network in self.options.trust)
        self._serve(sock, peer, (host or "unknown").encode(), trusted)

    def _serve(self, sock: socket.socket, peer: str, address: bytes, trusted: bool) -> None:
        waiting = Handler()
        if self.tls is None:
            stream = Stream(self.poller, sock.detach(), waiting)
        else:
            try:
                tls = self.tls.context.wrap_socket(
                    sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
                )
            except OSError:  # the client has gone already
                self.count(reasons.TLS_FAILED)
                sock.close()
                return
            stream = Stream(self.poller, tls.fileno(), waiting, tls)
        client = ClientConnection(self, stream, peer, address, trusted)
        self.connections.add(client)
        if self.tls is None:
            client.exchange.serve()
        else:
            stream.handler = client
            stream.deadline = self.poller.now + self.site.header_timeout
            stream.start()

    def _why_not(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> Reason | None:
        if len(self.connections) >= self.options.max_connections:
            return reasons.TOO_MANY_CONNECTIONS
        allow = self.options.allow
        if allow is not None and address is not None and not any(address in network for network in allow):
            return reasons.NOT_ALLOWED
        return None

    # --- what its clients tell

    def evidence(self, backend: Backend, reason: Reason, detail: str = "") -> None:
        """User traffic met `reason` on a backend."""
        if reason.counts is not reasons.Counts.NOTHING:
            self.pool.evidence(backend, reason, self.poller.now, detail)

    def head_refused(self, backend: Backend, status: int, size: int) -> None:
        """A backend refused a large head: most likely its own limit, and a ticket. Said once a minute."""
        if self.poller.now < self._next_hint:
            return
        self._next_hint = self.poller.now + HINT_EVERY
        fields = {
            "listener": self.name,
            "backend": backend.name,
            "status": status,
            "head_bytes": size,
            "hint": "the ticket is probably too large for this backend: raise its limit on header size",
        }
        _log.warning("large_head_refused", extra={"fields": fields})

    def count(self, reason: Reason) -> None:
        """A request, or a connection, ended."""
        self.ends[reason.label] += 1

    def forget(self, client: ClientConnection, reason: Reason | None) -> None:
        """A client connection is closed; without a reason, its last request told it."""
        if client in self.connections:
            self.connections.remove(client)
            if reason is not None:
                self.count(reason)
            if not self.connections:
                self.options.on_empty()

    def public_location(self, value: bytes) -> bytes:
        """`value` with SERVER_URL in place of a backend's own scheme and authority."""
        scheme, separator, rest = value.partition(b"://")
        end = min((at for at in map(rest.find, (b"/", b"?", b"#")) if at >= 0), default=len(rest))
        origin = scheme + separator + rest[:end]
        return self._public + rest[end:] if origin.lower() in self._origins else value

    # --- stopping

    def drain(self) -> None:
        """Accept what waits and then no more; end idle connections now, and the busy ones with their answer."""
        self.site.draining = True
        while self._accepting and self._accept():
            pass
        self.pause()
        for client in tuple(self.connections):
            client.drain()

    def stop(self, reason: Reason) -> None:
        """End everything now."""
        self.pause()
        for client in tuple(self.connections):
            client.stop(reason)


def _names(address: tuple[str, int] | str) -> tuple[str, str]:
    """(host, what the log calls the peer) of what accept() gives; a Unix socket's peer has no host."""
    if not isinstance(address, tuple):
        return "", "unix"
    host = address[0].removeprefix("::ffff:") if "." in address[0] else address[0].partition("%")[0]
    return host, f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"


def _origins(backend: Backend) -> set[bytes]:
    """How a backend may name itself in a URL, in lower case: with and without the scheme's own port."""
    origin = backend.origin.lower()
    port = {"http": b":80", "https": b":443"}.get(backend.scheme, b"")
    if backend.port != int(port[1:] or 0):
        return {origin}
    return {origin.removesuffix(port), origin.removesuffix(port) + port}
