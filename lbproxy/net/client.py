"""A client connection: what its exchange does not decide by itself: which lane a request gets, and what ends what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lbproxy import reasons
from lbproxy.auth.binding import Binding, Effect, Route
from lbproxy.auth.spnego import Credential, challenge, classify
from lbproxy.balance.backend import Backend
from lbproxy.balance.retry import replayable
from lbproxy.net.answers import answer
from lbproxy.net.exchange import Exchange
from lbproxy.net.farewell import Farewell
from lbproxy.net.lane import Lane
from lbproxy.net.record import record
from lbproxy.net.stream import Handler, Stream
from lbproxy.net.tunnel import Tunnel
from lbproxy.reasons import Reason
from lbproxy.wire.http1 import Field, ResponseHead

if TYPE_CHECKING:
    from lbproxy.net.listener import Listener

_GATEWAY_ERRORS = frozenset({502, 503, 504})
_HEAD_REFUSED = frozenset({400, 431})
LARGE_HEAD = 8192
"""Bytes of a request head beyond which many servers refuse it by default; a ticket with many groups is larger."""
_SHARED, _SPREAD, _FOLLOW = Route.SHARED, Route.SPREAD, Route.FOLLOW
_NONE, _PER_REQUEST = Credential.NONE, Credential.PER_REQUEST


class ClientConnection(Handler):
    """The policy of one `Exchange`, for as long as the client stays.

    `lane` is the one that the current request has, or waits for. `private` are the lanes that this client owns, one a
    backend at most (rules 2 to 4 of docs/lanes.md); `followed` is the one of them that was authenticated last. All of
    them close with this connection. A client that never authenticates on its connection needs neither, nor a binding.
    """

    __slots__ = (
        "_binding",
        "_credential",
        "_followed",
        "_forgets",
        "_lane",
        "_pending",
        "_private",
        "_route",
        "_served_by",
        "_tried",
        "_tries",
        "exchange",
        "listener",
        "peer",
        "stream",
        "tunnel",
    )

    def __init__(self, listener: Listener, stream: Stream, peer: str, address: bytes, trusted: bool) -> None:
        """peer: address and port for the log; address: for X-Forwarded-For; trusted: what it forwards is kept."""
        self.listener = listener
        self.stream = stream
        self.peer = peer
        self.exchange = Exchange(listener.site, stream, self, address, trusted)
        self.tunnel: Tunnel | None = None
        self._binding: Binding | None = None
        self._credential = _NONE
        self._route = _SHARED
        self._pending = False  # the binding has not been told how the routed request ended
        self._forgets = False  # the private lanes close with the current answer
        self._lane: Lane | None = None
        self._served_by: Lane | None = None
        self._private: dict[Backend, Lane] = {}
        self._followed: Lane | None = None
        self._tried: tuple[Backend, ...] = ()  # those that failed, and are not asked again
        self._tries = 0

    def __repr__(self) -> str:
        return f"<client {self.peer} on {self.listener.name}>"

    # --- the TLS handshake, before the first request

    def secured(self, stream: Stream) -> None:
        self.exchange.serve()

    def lost(self, stream: Stream, error: object) -> None:
        self._closed(reasons.TLS_FAILED)

    def expired(self, stream: Stream) -> None:
        self._closed(reasons.TLS_TIMEOUT)

    # --- a request needs a lane

    def route(self, exchange: Exchange) -> None:
        """A request head is complete: find it a lane."""
        self._tried = ()
        self._tries = 0
        self._served_by = None
        credential = _NONE if exchange.authorization is None else classify(exchange.authorization)
        self._credential = credential
        if self._binding is None and (credential is _NONE or credential is _PER_REQUEST):
            self._next()  # by far the most requests: nothing was ever bound here, so the route is SHARED
        else:
            self._dispatch(self._bound().request(credential))

    def _bound(self) -> Binding:
        if self._binding is None:
            self._binding = Binding()
        return self._binding

    def _dispatch(self, route: Route) -> None:
        self._route = route
        self.exchange.watch = self._pending = route is not _SHARED
        if route is _FOLLOW:
            self._follow()
            return
        if route is _SPREAD:
            self._followed = None
        self._next()

    def _follow(self) -> None:
        lane = self._followed
        assert lane is not None, "a binding follows a lane that is there"
        if lane.stream.is_quiet():
            self._run(lane)
            return
        self._drop(lane, reasons.LANE_CLOSED)
        if self._lost():
            self.exchange.stop(reasons.AUTH_LANE_LOST)
        else:
            self._again()

    def _next(self) -> None:
        """The next backend in rotation that takes the request, or an answer that there is none."""
        spread = self._route is _SPREAD
        pool = self.listener.pool
        while True:
            backend = pool.pick(self._tried)
            if backend is None:
                self.exchange.refuse(reasons.NO_BACKEND)
                return
            lane = self._private.get(backend) if spread else backend.lanes.take()
            if lane is None:
                opened = backend.lanes.open(self)
                if isinstance(opened, Lane):
                    self._lane = opened
                    backend.active += 1
                    return
                if not self._passed_over(backend, *opened):
                    return
            elif lane.stream.is_quiet():  # one more look: it has not ended, and holds nothing nobody asked for
                self._run(lane)
                return
            else:
                self._drop(lane, reasons.LANE_CLOSED)

    def _passed_over(self, backend: Backend, reason: Reason, detail: str) -> bool:
        """A connect failed, no byte was sent: True if the next backend may be tried, whatever the request is."""
        if reason is reasons.LOCAL_RESOURCES:
            self.exchange.refuse(reason)
            return False
        backend.connect_failures += 1
        backend.retried_from += 1
        self._tried += (backend,)
        self._tries += 1
        self.listener.evidence(backend, reason, detail)
        return True

    def _run(self, lane: Lane) -> None:
        if self._lane is None:
            self._lane = lane
            lane.backend.active += 1
        if self._route is _SPREAD:
            self._claim(lane)
        self._served_by = lane
        self._tries += 1
        lane.served += 1
        self.exchange.run(lane.stream, lane.served == 1)

    # --- what lanes tell (`net.lane.Waiter`)

    def lane_ready(self, lane: Lane) -> None:
        with self._contained():
            self._run(lane)

    def lane_unready(self, lane: Lane, reason: Reason, detail: str) -> None:
        with self._contained():
            self._leave()
            if self._passed_over(lane.backend, reason, detail):
                self._next()

    def lane_gone(self, lane: Lane) -> None:
        """A private lane ended while no request was on it."""
        with self._contained():
            self._drop(lane, reasons.LANE_CLOSED)
            if lane is self._followed and self._lost():
                self.exchange.stop(reasons.AUTH_LANE_LOST)

    @contextmanager
    def _contained(self) -> Iterator[None]:
        """A fault of ours in what a lane's event brings ends this client, which would wait for ever else."""
        try:
            yield
        except Exception as error:
            self.exchange.crashed(self.stream, error)

    # --- what the exchange tells

    def answering(self, exchange: Exchange, head: ResponseHead) -> None:
        """A response head on a private lane, or one with a challenge: the rule of lanes."""
        lane = self._lane
        assert lane is not None
        values = [value for _, value, field in head.fields() if field == Field.WWW_AUTHENTICATE]
        self._pending = False
        effect = self._bound().response(exchange.status, challenge(values))
        self._claim(lane)
        if effect is Effect.FOLLOW:
            former = self._private.get(lane.backend)
            self._followed = self._private[lane.backend] = lane
            if former is not None and former is not lane:
                former.close(reasons.LANE_OWNER_GONE)
        self._forgets = effect is Effect.FORGET

    def lane_failed(self, exchange: Exchange, link: Stream, reason: Reason) -> None:
        """The lane ended before the answer began: another backend, or an error."""
        lane = self._leave()
        assert lane is not None
        goes_on = reason.retry and self._replayable()
        self._drop(lane, reason if goes_on else None)
        self.listener.evidence(lane.backend, reason)
        if self._pending and self._lost():
            exchange.stop(reasons.AUTH_LANE_LOST)
        elif goes_on:
            if reason is not reasons.LANE_STALE:  # that says nothing of the backend, which may be the only one
                self._tried += (lane.backend,)
            lane.backend.retried_from += 1
            self._again()
        else:
            exchange.refuse(reason)

    def _again(self) -> None:
        """Route the request once more, after what it was routed to has gone."""
        self._dispatch(_SHARED if self._binding is None else self._binding.request(self._credential))

    def _replayable(self) -> bool:
        exchange = self.exchange
        return replayable(
            exchange.method,
            body_kept=not exchange.has_body,
            has_idempotency_key=False,
            has_connection_token=self._credential.is_connection_token,
        )

    def finished(self, exchange: Exchange, link: Stream | None, reusable: bool, reason: Reason) -> None:
        """The exchange is over: its lane rests or closes, and everybody who counts is told."""
        lane = self._leave()
        if self._pending and self._lost():
            exchange.closes = True
        if lane is not None:
            self._part(lane, reusable, reason)
        if self._forgets:
            self._forget()
        listener = self.listener
        listener.ends[reason.label] += 1
        if listener.site.logs:
            listener.log(record(exchange, listener.name, self.peer, self._served_by, self._tries, reason))

    def _part(self, lane: Lane, reusable: bool, reason: Reason) -> None:
        """The current request leaves its lane."""
        backend = lane.backend
        status = self.exchange.status
        backend.requests += 1
        if reason is reasons.DONE or reason is reasons.TUNNEL_DONE:
            backend.responses[status // 100] += 1
            if status in _GATEWAY_ERRORS:
                self.listener.evidence(backend, reasons.BACKEND_ERROR, str(status))
            else:
                backend.errors_in_row = 0
                if status in _HEAD_REFUSED and self.exchange.head_size > LARGE_HEAD:
                    self.listener.head_refused(backend, status, self.exchange.head_size)
        else:
            self.listener.evidence(backend, reason)
        if reusable and (self._private.get(backend) is lane if lane.private else backend.in_rotation):
            lane.rest()
            return
        self._drop(lane, reasons.LANE_CLOSED if reason is reasons.DONE else None)
        if lane is self._followed and self._lost():
            self.exchange.closes = True

    def rewrite_location(self, value: bytes) -> bytes:
        """A URL that names a backend's own address names SERVER_URL instead."""
        return self.listener.public_location(value)

    def refusal(self, exchange: Exchange, reason: Reason, keep: bool) -> bytes:
        """lbproxy's own answer."""
        return answer(reason, keep, exchange.method == b"HEAD", self.listener.retry_after)

    def tunnel_opened(self, exchange: Exchange, link: Stream, early: bytes) -> None:
        """The backend switched protocols: from here on bytes only pass."""
        self.tunnel = Tunnel(self.stream, link, self.listener.site.idle_timeout, self._tunnel_closed, early)

    def _tunnel_closed(self, reason: Reason) -> None:
        try:
            self.exchange.tunnel_closed(reason)
        finally:
            self._closed(None)

    def hang_up(self, exchange: Exchange, gently: bool) -> None:
        """The last answer is given."""
        Farewell(self.stream, gently, lambda: self._closed(None))

    def ended(self, exchange: Exchange, reason: Reason | None) -> None:
        """The client connection ended; without a reason, a request ended with it and told its own."""
        self._closed(reason)

    def drain(self) -> None:
        """Serve no further request."""
        self.exchange.drain()

    def stop(self, reason: Reason) -> None:
        """End now."""
        if self.tunnel is not None:
            self.tunnel.stop(reason)
        elif not self.stream.closed:
            self.exchange.stop(reason)
            self._closed(reason)

    # --- private lanes

    def _claim(self, lane: Lane) -> None:
        if not lane.private:
            lane.claim(self)
            # An offer on a shared lane may bring a second one to the same backend: it closes with its answer.
            self._private.setdefault(lane.backend, lane)

    def _leave(self) -> Lane | None:
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.backend.active -= 1
        return lane

    def _drop(self, lane: Lane, reason: Reason | None) -> None:
        if self._private.get(lane.backend) is lane:
            del self._private[lane.backend]
        lane.close(reason)

    def _lost(self) -> bool:
        """Tell the binding that what it waits for, or follows, is gone: True if this client has to start again."""
        self._pending = False
        must_close = self._bound().lane_lost()
        self._forget()
        return must_close

    def _forget(self) -> None:
        self._forgets = False
        self._followed = None
        lanes, self._private = self._private, {}
        for lane in lanes.values():
            if lane is not self._lane:  # that one closes with its answer, as it is not known any more
                lane.close(reasons.LANE_OWNER_GONE)

    def _closed(self, reason: Reason | None) -> None:
        """The end of the client connection, however it came; the first reason counts."""
        self.stream.close()
        lane = self._leave()
        if lane is not None:  # only after a fault: each request leaves its lane
            self._drop(lane, reasons.INTERNAL)
        self._forget()
        self.listener.forget(self, reason)
