"""A listener: it accepts client connections, and accepts or refuses them by address and number."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from lbproxy import reasons
from lbproxy.net.listener.proxy_header import ProxyHeaderReader
from lbproxy.net.transport import syn_hold
from lbproxy.net.transport.accept import Acceptor
from lbproxy.net.transport.descriptor_budget import DescriptorBudget
from lbproxy.net.transport.lingering_close import LingeringClose
from lbproxy.net.transport.peer import Network, Peer
from lbproxy.net.transport.poller import Handler, Poller
from lbproxy.net.transport.stream import Stream
from lbproxy.reasons import Reason

_log = logging.getLogger(__name__)

HANDFUL = 16
"""Connections that are accepted in one turn of the event loop."""

MAX_LEAVING = 64
"""Clients that are turned away with a word of why, at a time; more are closed without one."""

LOOK_AGAIN = 1.0
"""Seconds after which a listener without descriptors tries again, though no client of its own has gone."""

REPORT_EVERY = 60.0
"""Seconds between two reports that there are too few descriptors."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Connection(Protocol):
    """A client connection that is open."""

    @property
    def peer(self) -> Peer: ...

    def drain(self) -> None:
        """Serve no further request."""

    def stop(self, reason: Reason) -> None:
        """End now."""


class Service(Protocol):
    """What a listener does with the connections that it lets in: `net.http.web` or `net.passthrough`."""

    @property
    def needs_destination(self) -> bool:
        """Whether the service needs the address that a client connected to."""

    @property
    def requests(self) -> int:
        """How many were begun."""

    @property
    def on_fast_path(self) -> int:
        """How many have ended well on the fast path: the listener did not count those."""

    def serve(self, listener: Listener, fd: int, peer: Peer) -> None:
        """Take the connection `fd` over; it goes into `listener.connections` until `listener.forget`."""

    def refusal(self, reason: Reason) -> bytes:
        """The bytes for a client that is turned away."""

    def drain(self) -> None:
        """From now on each answer is the last one on its connection."""

    def resume(self) -> None:
        """End that."""


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """Which clients a listener accepts. allow None: all; max_per_address 0: no limit; header_timeout in seconds."""

    name: str
    max_connections: int
    max_per_address: int = 0
    allow: Sequence[Network] | None = None
    proxy_from: Sequence[Network] = ()  # peers whose PROXY header is required
    header_timeout: float = 10.0
    on_empty: Callable[[], None] = lambda: None  # the last client connection has ended


class Listener:
    """Accepts on `sock`.

    `connections` are the open ones. `refused` counts connections that were turned away before a request, by the
    reason's label; `pauses` counts how often there was no descriptor for another one.
    """

    def __init__(
        self,
        options: ListenerOptions,
        sock: socket.socket,
        poller: Poller,
        service: Service,
        descriptor_budget: DescriptorBudget | None = None,
    ) -> None:
        """sock: bound, listening and non-blocking. descriptor_budget: of all listeners; None: no limit."""
        self.options = options
        self.name = options.name
        self.socket = sock
        self.poller = poller
        self.service = service
        self.connections: set[Connection] = set()
        self._descriptor_budget = descriptor_budget
        if descriptor_budget is not None:
            descriptor_budget.share(self.connections)
        self.accepted = 0
        self.pauses = 0
        self.refused: defaultdict[str, int] = defaultdict(int)
        self._ends: defaultdict[str, int] = defaultdict(int)
        self._addresses: Counter[str] = Counter()
        self._leaving: set[Stream] = set()
        self._accepting = False
        self._draining = False
        self._starved = False
        self._look_again: asyncio.TimerHandle | None = None
        self._next_report = 0.0
        self._acceptor = Acceptor(sock)

    def __repr__(self) -> str:
        return f"<listener {self.name} {len(self.connections)} connections>"

    # --- accepting

    def start(self) -> None:
        """Accept from now on."""
        if not self._accepting and not self._draining:
            self._accepting = True
            self.poller.loop.add_reader(self.socket.fileno(), self._accept_some)

    def pause(self) -> None:
        """Accept no more; waiting connections stay in the kernel's queue."""
        self._starved = False
        if self._accepting:
            self._accepting = False
            self.poller.loop.remove_reader(self.socket.fileno())

    def _accept_some(self) -> None:
        """Accept waiting connections, at most HANDFUL: others need the loop too."""
        for _ in range(HANDFUL):
            if not self._accept():
                return

    def _accept(self) -> bool:
        """Accept one waiting connection, if there is one."""
        if self._descriptor_budget is not None and not self._descriptor_budget.for_client():
            self._starve("what is left is for lanes and probes")
            return False
        try:
            accepted = self._acceptor.accept()
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            self._starve(os.strerror(error.errno))
            return False
        if accepted is None:
            return False
        fd, address = accepted
        self._greet(fd, Peer.accepted(address))
        return True

    def _starve(self, why: str) -> None:
        """Too few descriptors: serve the open connections; accept a waiting one as soon as one has ended."""
        self.pause()
        self.pauses += 1
        self._starved = True
        self._look_again = self.poller.loop.call_later(LOOK_AGAIN, self._recover)
        if self.poller.now >= self._next_report:
            self._next_report = self.poller.now + REPORT_EVERY
            fields = {"listener": self.name, "connections": len(self.connections), "pauses": self.pauses, "why": why}
            _log.error("accept_paused", extra={"fields": fields})

    def _recover(self) -> None:
        """Try again, unless it was started, paused or stopped meanwhile."""
        if self._starved and self._look_again is not None:
            self._look_again.cancel()
            self._starved = False
            self.start()

    def _greet(self, fd: int, peer: Peer) -> None:
        options = self.options
        if len(self.connections) >= options.max_connections:
            self._turn_away(fd, reasons.TOO_MANY_CONNECTIONS)
        elif options.proxy_from and peer.within(options.proxy_from):
            reader = ProxyHeaderReader(fd, peer, self.poller, options.header_timeout, self._introduced, self.forget)
            self.connections.add(reader)
        else:
            self._admit(fd, peer)

    def _introduced(self, reader: ProxyHeaderReader, fd: int, peer: Peer) -> None:
        """A PROXY header has given the client's address."""
        self.connections.discard(reader)
        self._admit(fd, peer)

    def _admit(self, fd: int, peer: Peer) -> None:
        options = self.options
        if options.allow is not None and peer.host and not peer.within(options.allow):
            self._turn_away(fd, reasons.NOT_ALLOWED)
            return
        if options.max_per_address and peer.host:
            if self._addresses[peer.host] >= options.max_per_address:
                self._turn_away(fd, reasons.TOO_MANY_FROM_ADDRESS)
                return
            self._addresses[peer.host] += 1
        self.accepted += 1
        if self.service.needs_destination:
            peer.connected_to(fd)
        self.service.serve(self, fd, peer)

    def _turn_away(self, fd: int, reason: Reason) -> None:
        """Send why, if the protocol has a message for it, and close."""
        self.refused[reason.label] += 1
        words = self.service.refusal(reason) if reason.status else b""
        if not words or len(self._leaving) >= MAX_LEAVING:
            os.close(fd)
            return
        stream = Stream(self.poller, fd, Handler())
        self._leaving.add(stream)
        with suppress(OSError):  # it may have gone
            stream.write(words)
        LingeringClose(stream, True, lambda: self._leaving.discard(stream))

    # --- called by its connections

    def count(self, reason: Reason) -> None:
        """A request, or a connection, ended."""
        self._ends[reason.label] += 1

    def forget(self, connection: Connection, reason: Reason | None) -> None:
        """A client connection is closed; without a reason, its last request gave it."""
        if connection not in self.connections:
            return
        self.connections.remove(connection)
        if reason is not None:
            self.count(reason)
        if self.options.max_per_address and not isinstance(connection, ProxyHeaderReader):
            host = connection.peer.host
            self._addresses[host] -= 1
            if self._addresses[host] <= 0:
                del self._addresses[host]
        if self._starved:
            self.poller.loop.call_soon(self._recover)  # when its descriptor is closed
        if not self.connections:
            self.options.on_empty()

    @property
    def ends(self) -> dict[str, int]:
        """How requests and connections ended, by the reason's label."""
        ends = dict(self._ends)
        if self.service.on_fast_path:
            ends[reasons.DONE.label] = ends.get(reasons.DONE.label, 0) + self.service.on_fast_path
        return ends

    # --- its address moves to another host

    def hold(self) -> None:
        """Let new connections wait, and each open one end with its next answer."""
        if self._draining:  # nothing of another process's may wait, and its own socket may be closed
            return
        syn_hold.hold(self.socket)
        self.service.drain()

    def finish_idle(self) -> None:
        """End idle connections; the others end with their answer."""
        for client in tuple(self.connections):
            client.drain()

    def release(self, reason: Reason | None) -> None:
        """End a hold; with a reason, end every connection, too: the address is gone."""
        if self._draining:  # its socket may be closed
            return
        syn_hold.release(self.socket)
        self.service.resume()
        if reason is not None:
            self._stop_connections(reason)

    def _stop_connections(self, reason: Reason) -> None:
        for client in tuple(self.connections):
            client.stop(reason)

    # --- stopping

    def retire(self) -> None:
        """Accept the waiting connections and then no more; each connection ends with its next answer."""
        if not self._draining:
            syn_hold.release(self.socket)  # another process may accept, and ends no hold of this one
        self._draining = True
        self.service.drain()
        while self._accepting and self._accept():
            pass
        self.pause()

    def drain(self) -> None:
        """The same, but idle connections end now."""
        self.retire()
        self.finish_idle()

    def stop(self, reason: Reason) -> None:
        """End everything now."""
        self.pause()
        self._stop_connections(reason)
        while self._leaving:
            self._leaving.pop().close()
