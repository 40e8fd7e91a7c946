"""What a client connection keeps between requests: nothing, for most of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbproxy.auth.binding import Binding
from lbproxy.net.http.attempts import Attempts
from lbproxy.net.http.exchange import Exchange
from lbproxy.net.transport.poller import monotonic
from lbproxy.net.upstream.private import PrivateLanes

if TYPE_CHECKING:
    from lbproxy.net.http.web import WebService
    from lbproxy.net.upstream.lane import Lane


class ClientMemory:
    """Its binding, its private lanes, and the attempts of its current request; each is made when it is needed first.

    As long as there is no binding, requests without identity need no decision (`Exchange.fast_path`).
    """

    __slots__ = ("_binding", "_forgets", "_pending", "_private", "_tried", "exchange", "service", "since")

    exchange: Exchange

    def __init__(self, service: WebService) -> None:
        self.service = service
        self.since = monotonic()  # when it could ask first
        self._binding: Binding | None = None
        self._private: PrivateLanes | None = None
        self._tried: Attempts | None = None
        self._pending = False  # the binding does not know yet how the routed request ended
        self._forgets = False  # the private lanes close with the current answer

    @property
    def _bound(self) -> Binding:
        if self._binding is None:
            self._binding = Binding()
            self.exchange.fast_path = False
        return self._binding

    @property
    def _own(self) -> PrivateLanes:
        if self._private is None:
            self._private = PrivateLanes()
        return self._private

    @property
    def _attempts(self) -> Attempts:
        if self._tried is None:
            self._tried = Attempts(self.service.pool, self.service.never)
        return self._tried

    @property
    def lanes(self) -> list[Lane]:
        """That of the current request, and those that are its own."""
        own = [] if self._private is None else self._private.lanes
        lane = self.exchange.lane
        return own if lane is None or lane in own else [lane, *own]

    def _lost(self) -> bool:
        """The lane that the binding waits for, or follows, is gone: True if this client has to start again."""
        self._pending = False
        must_close = self._bound.lane_lost()
        self._forget()
        return must_close

    def _forget(self) -> None:
        """Close the private lanes, but for the one that is answering."""
        self._forgets = False
        if self._private is not None:
            self._private.forget(self.exchange.lane)
