"""Lanes: the connections from lbproxy to its backends, and the stack of idle shared ones that each backend has."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.net.tls import BackendContext
from lbproxy.net.transport.connect import Destination
from lbproxy.net.transport.descriptor_budget import DescriptorBudget
from lbproxy.net.transport.poller import Handler, Poller, monotonic
from lbproxy.net.transport.stream import Stream
from lbproxy.net.upstream.shared import LaneCore, LanesCore
from lbproxy.reasons import Reason

_LOCAL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""Errors of this machine: no evidence against a backend."""

_CONNECT_ROWS = {errno.ECONNREFUSED: reasons.CONNECT_REFUSED, errno.ETIMEDOUT: reasons.CONNECT_TIMEOUT}


_NOBODY = Handler()  # of a stream until its lane is made

ProxyVersion = Literal["none", "v1", "v2"]


class Waiter(Protocol):
    """What asked for a lane that is being opened, or owns a private one."""

    def lane_ready(self, lane: Lane) -> None:
        """The lane is connected, and secured where its backend speaks TLS."""

    def lane_unready(self, lane: Lane, reason: Reason, detail: str) -> None:
        """The lane could not be opened; it is closed."""

    def lane_gone(self, lane: Lane) -> None:
        """A private lane ended while no request was on it; it is closed."""

    def broken(self, error: Exception) -> None:
        """One of the other methods raised, which is a fault in lbproxy: end, or you would wait for ever."""


@contextmanager
def contained(waiter: Waiter) -> Iterator[None]:
    """A fault in the handling of a lane's event ends its `waiter`."""
    try:
        yield
    except Exception as error:
        waiter.broken(error)


@dataclass(frozen=True, slots=True)
class LaneOptions:
    """How the lanes of one pool are opened and kept; times in seconds. tls None: plain.

    room: None: endless.
    """

    connect_timeout: float
    idle_timeout: float
    tls: BackendContext | None = None
    descriptor_budget: DescriptorBudget | None = None


@dataclass(frozen=True, slots=True)
class Personal:
    """What makes a lane one client's from its beginning: a PROXY header, and the user's minted certificate."""

    header: bytes = b""
    tls: BackendContext | None = None  # None: the pool's


ANYBODY = Personal()
"""A lane that may be shared."""


class Lane(LaneCore):
    """One connection to a backend.

    Shared until `claim` gives it to one client connection for good (rule 2); then only that one uses it, and closes
    it (rule 3). While a request is on the lane, the exchange handles its stream; else the lane does.
    """

    __slots__ = ("_tls",)

    lanes: Lanes
    owner: Waiter | None  # of a private lane
    waiter: Waiter | None  # while it is being opened
    _tls: BackendContext | None

    def __repr__(self) -> str:
        return f"<{'private' if self.private else 'shared'} lane to {self.backend.name}, {self.served} requests>"

    # --- events: only while no request is on it

    def secured(self, stream: Stream) -> None:
        assert stream.tls is not None
        self.lanes.handshakes += 1
        if stream.tls.session_reused:
            self.lanes.resumed += 1
        self.ready_at = monotonic()
        self.is_ready()

    def closing(self) -> None:
        """Remember the session, so that the next handshake with the backend is a short one.

        TLS 1.3's tickets came with the first answer.
        """
        if self._tls is not None and self.served:
            assert isinstance(self.stream.tls, ssl.SSLSocket)
            self._tls.remember(self.stream.tls, self.backend.host, self.backend.port)

    def lost(self, stream: Stream, error: object) -> None:
        if self.waiter is not None:
            if isinstance(error, ssl.SSLError):
                self.lanes.handshakes_failed += 1
                self._unready(reasons.CONNECT_TLS, _tls_detail(error))
            else:
                assert isinstance(error, OSError)
                self._unready(connect_reason(error.errno), error.strerror or str(error))
        else:
            self._gone(reasons.LANE_CLOSED)

    def expired(self, stream: Stream) -> None:
        if self.waiter is not None:
            self._unready(reasons.CONNECT_TIMEOUT, f"no connection after {self.lanes.options.connect_timeout:g} s")
        else:
            self.close(reasons.LANE_RETIRED)

    def readable(self, stream: Stream) -> None:
        """An idle lane has ended, or unexpected bytes came: it serves no further request."""
        try:
            data = stream.read()
        except OSError:
            data = b""
        if data is not None:  # None: only TLS's own messages, such as session tickets
            self._gone(reasons.LANE_JUNK if data else reasons.LANE_CLOSED)

    def crashed(self, stream: Stream, error: object) -> None:
        super().crashed(stream, error)
        if self.waiter is not None:
            self._unready(reasons.INTERNAL, "the log has the traceback")
        else:
            self._gone(reasons.INTERNAL)

    def _unready(self, reason: Reason, detail: str) -> None:
        waiter, self.waiter = self.waiter, None
        assert waiter is not None
        self.close(reason)
        with contained(waiter):
            waiter.lane_unready(self, reason, detail)

    def _gone(self, reason: Reason) -> None:
        owner = self.owner
        self.close(reason)
        if owner is not None:
            with contained(owner):
                owner.lane_gone(self)


class Lanes(LanesCore):
    """The lanes of one backend: `backend.lanes`. `address` is where it is: set once its name is resolved."""

    __slots__ = (
        "_address",
        "_destination",
        "backend",
        "handshakes",
        "handshakes_failed",
        "options",
        "poller",
        "resumed",
    )

    def __init__(self, backend: Backend, poller: Poller, options: LaneOptions, ends: dict[str, int]) -> None:
        self.backend = backend
        self.poller = poller
        self.options = options
        self.idle_timeout = options.idle_timeout
        self.ends = ends  # how lanes ended: {reason's label: count}, shared by all backends
        self.handshakes = 0  # with TLS, whole and resumed
        self.resumed = 0
        self.handshakes_failed = 0
        self._address: tuple[socket.AddressFamily, tuple[object, ...]] | None = None
        self._destination: Destination | None = None

    def __repr__(self) -> str:
        return f"<lanes to {self.backend.name}: {len(self.idle)} idle, {self.private} private>"

    @property
    def address(self) -> tuple[socket.AddressFamily, tuple[object, ...]] | None:
        """Where the backend is, as getaddrinfo(3) gives it; None: not known yet."""
        return self._address

    @address.setter
    def address(self, address: tuple[socket.AddressFamily, tuple[object, ...]] | None) -> None:
        self._destination = None if address is None else Destination(*address)
        self._address = address

    def take(self) -> Lane | None:
        """An idle shared lane, the one used last; None: open one."""
        idle = self.idle
        while idle:
            lane: Lane = idle.pop()
            if not lane.closed:
                return lane
        return None

    def open(self, waiter: Waiter, personal: Personal = ANYBODY) -> Lane | tuple[Reason, str]:
        """Begin to connect; the waiter is called later. Returns the reason and a detail if that fails at once."""
        if self._destination is None:
            return reasons.CONNECT_FAILED, f"{self.backend.host} has no address"
        if self.options.descriptor_budget is not None and not self.options.descriptor_budget.for_lane():
            return reasons.LOCAL_RESOURCES, "what is left of the descriptors is for probes"
        tls = personal.tls or self.options.tls
        sock: ssl.SSLSocket | None = None
        try:
            if tls is None:
                fd = self._destination.connect()
            else:
                sock = self._secure_socket(tls)
                fd = sock.fileno()
        except OSError as error:
            return reasons.LOCAL_RESOURCES, os.strerror(error.errno or 0)
        if fd < 0:
            return connect_reason(-fd), os.strerror(-fd)
        if sock is not None:
            assert self._address is not None
            code = sock.connect_ex(self._address[1])
            if code not in (0, errno.EINPROGRESS):
                sock.close()
                return connect_reason(code), os.strerror(code)
        return self._opened(waiter, Stream(self.poller, fd, _NOBODY, sock), personal, tls)

    def _opened(self, waiter: Waiter, stream: Stream, personal: Personal, tls: BackendContext | None) -> Lane:
        """The lane of a connection that has begun."""
        lane = Lane(self, self.backend, waiter, stream, personal.header)
        lane._tls = tls
        stream.handler = lane
        self.backend.lanes_opened += 1
        stream.deadline = self.poller.now + self.options.connect_timeout
        stream.await_connect()
        return lane

    def _secure_socket(self, tls: BackendContext) -> ssl.SSLSocket:
        assert self._address is not None
        sock = socket.socket(self._address[0], socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Before it is connected: later, wrapping would fail half-way when the backend had gone in between.
        return tls.wrap(sock, self.backend.host, self.backend.port)

    def close_idle(self, reason: Reason) -> None:
        """Close every idle shared lane: the backend was ejected, or lbproxy is stopping."""
        while self.idle:
            self.idle.pop().close(reason)


def connect_reason(code: int | None) -> Reason:
    """The row for a failed connect's errno."""
    if code in _LOCAL:
        return reasons.LOCAL_RESOURCES
    return _CONNECT_ROWS.get(code or 0, reasons.CONNECT_FAILED)


def _tls_detail(error: ssl.SSLError) -> str:
    """What an administrator can act on: the verification's own words where it was that."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    return error.reason or str(error)
