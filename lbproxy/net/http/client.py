"""A client connection: the decisions that its exchange leaves to the policy, such as the lane of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbproxy import reasons
from lbproxy.auth.binding import Route
from lbproxy.auth.certificate import ClientCertificate
from lbproxy.auth.spnego import Credential, challenge, classify
from lbproxy.balance.backend import Backend
from lbproxy.net.http.account import refuses_large_head, settle
from lbproxy.net.http.attempts import Attempts
from lbproxy.net.http.exchange import Exchange
from lbproxy.net.http.over import OVER
from lbproxy.net.http.record import record
from lbproxy.net.http.trace import trace
from lbproxy.net.transport.lingering_close import LingeringClose
from lbproxy.net.transport.peer import Peer
from lbproxy.net.transport.poller import monotonic
from lbproxy.net.transport.stream import Stream
from lbproxy.net.transport.tunnel import Tunnel
from lbproxy.net.upstream.lane import ANYBODY, Lane, contained
from lbproxy.net.upstream.private import PARTING, PrivateLanes
from lbproxy.reasons import Fault, Reason
from lbproxy.wire.fields import Field
from lbproxy.wire.response_heads import ResponseHead

if TYPE_CHECKING:
    from lbproxy.net.http.web import WebService
    from lbproxy.net.listener.listener import Listener

_SHARED, _SPREAD, _FOLLOW = Route.SHARED, Route.SPREAD, Route.FOLLOW
_NONE = Credential.NONE


class ClientConnection:
    """The policy of one `Exchange`, for as long as the client stays.

    A request's lane is either shared, or one that this client owns (`net.upstream.private`). The client owns it because
    of what the client or a backend said (the binding decides), or because it owns all its lanes from their beginning.
    The lanes that it owns close with this connection.

    Requests of a client that has never authenticated on its connection, and owns no lane, need no decision
    (`Exchange.fast_path`).
    """

    __slots__ = (
        "_attempts",
        "_credential",
        "_own",
        "_owns_all",
        "_route",
        "certificate",
        "exchange",
        "listener",
        "peer",
        "service",
        "since",
        "stream",
        "tunnel",
    )

    def __init__(
        self,
        listener: Listener,
        service: WebService,
        stream: Stream,
        peer: Peer,
        certificate: ClientCertificate | None = None,
    ) -> None:
        """certificate: that the client has shown; it was verified."""
        self.listener = listener
        self.service = service
        self.stream = stream
        self.peer = peer
        self.certificate = certificate
        address = (peer.host or "unknown").encode()
        self.exchange = Exchange(service.site, stream, self, address, peer.within(service.options.trust))
        self.since = monotonic()  # when it could ask first
        self.tunnel: Tunnel | None = None
        self._own = PrivateLanes(self)
        self._attempts: Attempts | None = None  # of the current request
        self._credential, self._route = _NONE, _SHARED
        self._owns_all = service.has_own_lanes(certificate)  # no lane of it may be shared
        self.exchange.fast_path = not self._owns_all

    def __repr__(self) -> str:
        return f"<client {self.peer.name} on {self.listener.name}>"

    @property
    def lanes(self) -> list[Lane]:
        """That of the current request, and those that are its own."""
        lane, own = self.exchange.lane, self._own.lanes
        return own if lane is None or lane in own else [lane, *own]

    @property
    def _asked(self) -> Attempts:
        if self._attempts is None:  # the request began on the fast path
            self._attempts = Attempts(self.service.pool, self.service.never)
        return self._attempts

    # --- a request needs a lane

    def route(self, exchange: Exchange) -> None:
        """A request head is complete: find it a lane."""
        self._credential = credential = classify(exchange.authorization)
        self._attempts = attempts = Attempts(self.service.pool, self.service.never, credential.is_connection_token)
        if exchange.has_body and attempts.repeatable(exchange):
            exchange.keep_body(self.service.options.retry_buffer)
        self._dispatch()

    def _dispatch(self) -> None:
        """Find the request a lane: the first time, or once more after what it was routed to has gone."""
        self._route = route = self._own.request(self._credential)
        self.exchange.watch = route is not _SHARED
        if route is not _SHARED:
            self.exchange.fast_path = False
        if route is _FOLLOW:
            self._follow()
        else:
            self._next()

    def _follow(self) -> None:
        lane = self._own.followed
        assert lane is not None, "a binding follows a lane that is there"
        if lane.stream.is_quiet():
            self._run(lane)
        elif self._drop(lane, reasons.LANE_CLOSED):
            self.exchange.stop(reasons.AUTH_LANE_LOST)
        else:
            self._dispatch()

    def _next(self) -> None:
        """The next backend in rotation that takes the request, or an answer that there is none."""
        owned = self._route is _SPREAD or self._owns_all
        attempts = self._asked
        while True:
            backend = attempts.pool.pick(attempts.tried)
            if backend is None:
                self.exchange.refuse(attempts.exhausted)
                return
            lane: Lane | None = None
            if owned:
                lane = self._own.get(backend)
            elif not attempts.wants_new:
                lane = backend.lanes.take()
            if lane is None:
                if not self._open(backend):
                    return
            elif lane.stream.is_quiet():  # it has not ended, and holds no unexpected bytes
                self._run(lane)
                return
            else:
                starts_again = self._drop(lane, reasons.LANE_CLOSED)
                assert not starts_again, "a request of an exchange follows its lane"

    def _open(self, backend: Backend) -> bool:
        """Begin to connect; True if that failed at once, and the next backend may be tried."""
        personal = self.service.personal(self) if self._owns_all else ANYBODY
        if personal is None:
            self.exchange.refuse(reasons.MINT_FAILED)
            return False
        opened = backend.lanes.open(self, personal)
        if isinstance(opened, Lane):
            self.exchange.lane = opened
            backend.begin()
            return False
        return self._passed_over(backend, *opened)

    def _passed_over(self, backend: Backend, reason: Reason, detail: str) -> bool:
        """A connect failed, no byte was sent: True if the next backend may be tried, whatever the request is."""
        if reason.fault is Fault.LBPROXY:
            self.exchange.refuse(reason)
            return False
        backend.connect_failures += 1
        self._pass_over(backend, reason)
        self.evidence(backend, reason, detail)
        return True

    def _pass_over(self, backend: Backend, reason: Reason) -> None:
        self.exchange.tries += 1
        self._asked.passed_over(backend, reason)

    def _run(self, lane: Lane) -> None:
        exchange = self.exchange
        if exchange.lane is None:
            exchange.lane = lane
            lane.backend.begin()
        if self._route is _SPREAD or self._owns_all:
            self._own.claim(lane)
        exchange.served_by = lane
        fresh = lane.begin(exchange.tries)
        exchange.tries += 1
        exchange.run(lane.stream, fresh)

    def following(self) -> Lane | None:
        """The lane that a request without credentials follows, if nothing else is to be decided of it."""
        self._credential, self._route, self.exchange.watch = _NONE, _FOLLOW, False
        return self._own.bound

    # --- called by lanes (`net.upstream.lane.Waiter`)

    def lane_ready(self, lane: Lane) -> None:
        self._run(lane)

    def lane_unready(self, lane: Lane, reason: Reason, detail: str) -> None:
        self._leave()
        if self._passed_over(lane.backend, reason, detail):
            self._next()

    def lane_gone(self, lane: Lane) -> None:
        """A private lane ended while no request was on it."""
        self._end_idle(lane, reasons.LANE_CLOSED)

    def _end_idle(self, lane: Lane, reason: Reason) -> None:
        if self._drop(lane, reason):
            self.exchange.stop(reasons.AUTH_LANE_LOST)

    def broken(self, error: Exception) -> None:
        self.exchange.crashed(self.stream, error)

    def evidence(self, backend: Backend, reason: Reason, detail: str = "") -> None:
        """This client met `reason` on a backend."""
        self.service.evidence(backend, reason, detail, self.certificate)

    # --- called by the exchange

    def slow(self, exchange: Exchange) -> None:
        """The answer takes long: a probe finds out whether the request is slow, or the backend is frozen."""
        if exchange.lane is not None:
            self.evidence(exchange.lane.backend, reasons.RESPONSE_SLOW)

    def asks_again(self, exchange: Exchange, status: int) -> bool:
        """An answer of retry_statuses: whether another backend is tried. Not while the client is bound to its lane."""
        assert exchange.lane is not None
        bound = self._own.pending or self._route is _FOLLOW
        return not bound and self._asked.may_ask_another(exchange, exchange.lane.backend, status)

    def answering(self, exchange: Exchange, head: ResponseHead) -> None:
        """A response head on a private lane, or one with a challenge: the rule of lanes."""
        lane = exchange.lane
        assert lane is not None
        values = head.values(Field.WWW_AUTHENTICATE) if head.asks_connection_auth else ()
        exchange.fast_path = False
        self._own.answered(lane, exchange.status, challenge(values))
        exchange.follows = self._own.followed is not None and not self._owns_all
        if self._is_left(lane.backend) and exchange.status != 401:  # an exchange of several legs may finish
            exchange.closes = True

    def lane_failed(self, exchange: Exchange, link: Stream, reason: Reason) -> None:
        """The lane ended before the answer began: another backend, or an error."""
        lane = self._leave()
        assert lane is not None
        goes_on = self._asked.may_follow(exchange, reason)
        starts_again = self._drop(lane, reason if goes_on else None) or self._own.unanswered(self.exchange.lane)
        self.evidence(lane.backend, reason)
        if starts_again:
            exchange.stop(reasons.AUTH_LANE_LOST)
        elif goes_on:
            self._asked.failed(lane.backend, reason)
            self._dispatch()
        else:
            exchange.refuse(reason)

    def finished(self, exchange: Exchange, link: Stream | None, reusable: bool, reason: Reason) -> None:
        """The exchange is over: its lane rests or closes, and its end is counted and logged."""
        lane, exchange.lane = exchange.lane, None
        if self._own.unanswered(self.exchange.lane):
            exchange.closes = True
        if lane is not None:
            met = settle(lane.backend, exchange.status, reason)
            if met is not None:
                self.evidence(lane.backend, *met)
            elif refuses_large_head(exchange.status, exchange.head_size):
                self.service.head_refused(self.listener, lane.backend, exchange.status, exchange.head_size)
            if reusable and self._may_rest(lane):
                lane.rest()
            elif self._drop(lane, reasons.LANE_CLOSED if reason is reasons.DONE else None):
                exchange.closes = True
        if self._own.closing:
            self._own.forget(None)
        if exchange.ids is not None and exchange.ids.recorded:
            self.service.trace(trace(exchange, self._attempts, self.listener.name, self.service, reason))
        self._attempts = None
        self.listener.count(reason)
        if self.service.site.logs:
            self.log(exchange, reason)

    def log(self, exchange: Exchange, reason: Reason) -> None:
        """A request has ended, for the access log."""
        user = "" if self.certificate is None else self.certificate.name
        self.service.log(record(exchange, self.listener.name, self.peer.name, user, reason))

    def _may_rest(self, lane: Lane) -> bool:
        if lane.owner is None:
            return lane.backend.in_rotation
        return self._own.keeps(lane) and (lane is self._own.followed or not self._is_left(lane.backend))

    def rewrite_location(self, value: bytes) -> bytes:
        """A URL that names a backend's own address names SERVER_URL instead."""
        return self.service.public_location(value)

    def refusal(self, exchange: Exchange, reason: Reason, keep: bool) -> bytes:
        """lbproxy's own answer."""
        return self.service.answer(exchange, reason, keep)

    def tunnel_opened(self, exchange: Exchange, link: Stream, early: bytes) -> None:
        """The backend switched protocols: from here on bytes only pass."""
        assert exchange.lane is not None
        exchange.lane.join()
        self.tunnel = Tunnel(self.stream, link, self.service.site.idle_timeout, self._tunnel_closed, early)

    def _tunnel_closed(self, reason: Reason) -> None:
        try:
            self.exchange.tunnel_closed(reason)
        finally:
            self._closed(None)

    def hang_up(self, exchange: Exchange, gently: bool) -> None:
        """The last answer is given."""
        LingeringClose(self.stream, gently, lambda: self._closed(None))

    def ended(self, exchange: Exchange, reason: Reason | None) -> None:
        """The client connection ended; without a reason, a request ended with it and gave its own."""
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

    # --- a backend leaves

    def ejected(self, backend: Backend) -> None:
        """A backend was ejected: a request that waits on it moves to another one, if it may and there is one."""
        idle = self._own.get(backend)
        lane = self.exchange.lane
        if idle is not None and idle is not lane and self._is_left(backend):
            with contained(self):
                self._end_idle(idle, reasons.LANE_EJECTED)
            lane = self.exchange.lane
        if lane is None or lane.backend is not backend or not self._asked.has_other(backend):
            return
        if lane.waiter is self:
            with contained(self):
                self._leave()
                lane.close(reasons.LANE_EJECTED)
                self._pass_over(backend, reasons.BACKEND_EJECTED)
                self._next()
        elif self._may_move() and self._asked.may_leave(self.exchange, backend):
            self.exchange.move(reasons.BACKEND_EJECTED)

    def _may_move(self) -> bool:
        """Whether no answer has begun, and the client would not have to start again without this lane."""
        return self.exchange.untouched() and not self._own.ends_with_lane

    def _is_left(self, backend: Backend) -> bool:
        """Whether a client bound to a lane to it should start anew: it drains, or is out while others are not."""
        return not backend.placed and (not backend.takes_work or len(self.service.pool.rotation) > 0)

    def draining(self, backend: Backend) -> None:
        """A backend drains: the lane to it closes. An idle client whose requests follow that lane closes too."""
        if self._own.let_go(backend, self.exchange.lane) and self.exchange.idle_for >= PARTING:
            self.exchange.drain()

    def cut(self, backend: Backend, reason: Reason) -> None:
        """The drain time of a backend that left is over: requests and lanes on it end now."""
        lane = self.exchange.lane
        if lane is not None and lane.backend is backend:
            self.stop(reason)
        elif (idle := self._own.get(backend)) is not None:
            with contained(self):
                self._end_idle(idle, reasons.LANE_BACKEND_LEFT)

    def _drop(self, lane: Lane, reason: Reason | None) -> bool:
        """Close a lane, whatever it was to this client: True if the client has to start again without it."""
        return self._own.drop(lane, reason, self.exchange.lane)

    def _leave(self) -> Lane | None:
        lane, self.exchange.lane = self.exchange.lane, None
        if lane is not None:
            lane.backend.leave()
        return lane

    def _closed(self, reason: Reason | None) -> None:
        """The end of the client connection, for any cause; the first reason counts."""
        self.stream.close()
        if (lane := self._leave()) is not None:  # only after a fault: each request leaves its lane
            lane.close(reasons.INTERNAL)
        self._own.end()
        self.listener.forget(self, reason)
        self.tunnel, self.exchange.policy = None, OVER
