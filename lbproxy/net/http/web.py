"""Mode http: what all client connections of a listener share."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lbproxy import reasons
from lbproxy.auth.certificate import ClientCertificate, IdentityKind, identity_lines
from lbproxy.auth.mint import Mint, MintError
from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.net.http.client import ClientConnection
from lbproxy.net.http.error_pages import NAMELESS, Named, answer
from lbproxy.net.http.exchange import Exchange
from lbproxy.net.http.site import Site
from lbproxy.net.listener.handshake import Handshake
from lbproxy.net.listener.listener import Listener
from lbproxy.net.tls import BackendTls, ServerTls
from lbproxy.net.transport.peer import Network, Peer
from lbproxy.net.transport.poller import Handler, Poller
from lbproxy.net.transport.stream import Stream
from lbproxy.net.upstream.lane import Personal, ProxyVersion
from lbproxy.reasons import Reason
from lbproxy.record import Record, Trace
from lbproxy.wire.clienthello import INTERNAL_ERROR, alert
from lbproxy.wire.proxyproto import encode

_log = logging.getLogger(__name__)

_NOBODY = Handler()  # of a stream that its next owner takes over at once

_REFUSALS = frozenset({reasons.CONNECT_TLS, reasons.LANE_LOST})
"""How it looks when a backend refuses a certificate."""

HINT_EVERY = 60.0
"""Seconds between two hints of one kind."""


@dataclass(frozen=True, slots=True)
class WebOptions:
    """trust: networks of clients whose X-Forwarded-* is kept. retry_after: seconds, sent with a 503.

    mint and tls (towards the pool's backends) are set if identity is "mint", and None otherwise. minted_for: this
    listener or another one shows minted certificates to these backends. request_id: the header with a request's id.
    """

    server_url: str
    retry_after: int
    trust: Sequence[Network] = ()
    identity: IdentityKind = "none"
    send_proxy: ProxyVersion = "none"
    retry_buffer: int = 65536  # bytes of a request body that are kept to be sent again
    mint: Mint | None = None
    tls: BackendTls | None = None
    minted_for: bool = False
    request_id: bytes = b""


class WebService:
    """`site`, `pool` and `tls` (towards clients; None: plain) of one listener. log gets each request's record,
    trace those of requests that are sampled.

    `handshakes` counts the successful ones with clients, `resumed` how many of them resumed a session.
    """

    def __init__(
        self,
        options: WebOptions,
        poller: Poller,
        site: Site,
        pool: Pool,
        tls: ServerTls | None,
        log: Callable[[Record], None],
        trace: Callable[[Trace], None] = lambda _: None,
    ) -> None:
        self.options = options
        self.retry_after = options.retry_after
        self.poller = poller
        self.site = site
        self.pool = pool
        self.tls = tls
        self.log = log
        self.trace = trace
        self.handshakes = 0
        self.resumed = 0
        self.needs_destination = options.send_proxy != "none"
        self._origins: set[bytes] = set()
        self._origins_of = -1  # the pool's version that they are of
        self._public = options.server_url.encode()
        self._next_hint = 0.0

    def __repr__(self) -> str:
        return f"<web service {self.options.server_url} for {self.pool.name}>"

    @property
    def never(self) -> tuple[Backend, ...]:
        """The backends of the pool that connections are passed through to: no request can be sent there."""
        return self.pool.that_only_pass(True)

    @property
    def requests(self) -> int:
        """Whole request heads that were accepted."""
        return self.site.requests

    @property
    def on_fast_path(self) -> int:
        """See `listener.Service`."""
        return self.site.on_fast_path

    def serve(self, listener: Listener, fd: int, peer: Peer) -> None:
        """See `listener.Service`."""
        if self.tls is None:
            self.begin(listener, Stream(self.poller, fd, _NOBODY), peer)
        else:
            stream = Stream(self.poller, fd, _NOBODY, self.tls.accept(fd))
            Handshake(listener, self, stream, self.tls, peer)

    def begin(
        self,
        listener: Listener,
        stream: Stream,
        peer: Peer,
        server_name: str | None = None,
        certificate: ClientCertificate | None = None,
    ) -> None:
        """Serve the requests of a client whose handshake, if any, is done."""
        client = ClientConnection(listener, self, stream, peer, certificate)
        listener.connections.add(client)
        if self.tls is not None:
            lines = b"" if certificate is None else identity_lines(self.options.identity, certificate, self.tls.uri)
            client.exchange.identify(server_name, lines)
        client.exchange.serve()

    def refusal(self, reason: Reason) -> bytes:
        """See `listener.Service`."""
        if self.tls is not None:
            return alert(INTERNAL_ERROR)
        return answer(reason, False, False, self.retry_after)

    def answer(self, exchange: Exchange, reason: Reason, keep: bool) -> bytes:
        """lbproxy's own answer to the request of `exchange`."""
        ids = exchange.ids
        named = NAMELESS if ids is None else Named(self.options.request_id, ids.request_id)
        return answer(reason, keep, exchange.method == b"HEAD", self.retry_after, named)

    def drain(self) -> None:
        """See `listener.Service`."""
        self.site.draining = True

    def resume(self) -> None:
        """See `listener.Service`."""
        self.site.draining = False

    # --- the identity of clients

    def has_own_lanes(self, certificate: ClientCertificate | None) -> bool:
        """Whether the lanes of such a client can serve no other client from their beginning."""
        return self.needs_destination or (self.options.mint is not None and certificate is not None)

    def personal(self, client: ClientConnection) -> Personal | None:
        """What the lanes of one client begin with; None: no certificate can be minted for it."""
        options, certificate, peer = self.options, client.certificate, client.peer
        header = b""
        if options.send_proxy != "none":
            header = encode(options.send_proxy, peer.source, peer.destination)
        if options.mint is None or certificate is None:
            return Personal(header)
        assert options.tls is not None
        try:
            return Personal(header, options.tls.minted(options.mint.mint(certificate, time.time())))
        except MintError as error:
            _log.error("mint_failed", extra={"fields": {"client": client, "error": error}})
            return None

    def still_good(self, certificate: ClientCertificate) -> Reason | None:
        """Why a connected client must be cut; None: it may stay."""
        assert self.tls is not None, "no certificate without TLS"
        return self.tls.still_good(certificate, time.time())

    # --- called by clients

    def evidence(
        self, backend: Backend, reason: Reason, detail: str = "", certificate: ClientCertificate | None = None
    ) -> None:
        """User traffic met `reason` on a backend; `certificate` is the user's."""
        if reason.counts is not reasons.Counts.NOTHING:
            ambiguous = self._is_ambiguous(reason, certificate)
            self.pool.evidence(backend, reason, self.poller.now, detail, ambiguous)

    def _is_ambiguous(self, reason: Reason, certificate: ClientCertificate | None) -> bool:
        """Whether the certificate on the lane, or its lack, may be all that the backend did not like.

        One that asks for certificates may do anything to a connection without one. With one it may refuse that: in the
        handshake, or, since TLS 1.3, when the first request is on its way.
        """
        if not self.options.minted_for:
            return False
        shown = self.options.mint is not None and certificate is not None
        return not shown or reason in _REFUSALS

    def head_refused(self, listener: Listener, backend: Backend, status: int, size: int) -> None:
        """A backend refused a large head: most likely its own limit, and a ticket. Said once a minute."""
        if self.poller.now < self._next_hint:
            return
        self._next_hint = self.poller.now + HINT_EVERY
        fields = {
            "listener": listener.name,
            "backend": backend.name,
            "status": status,
            "head_bytes": size,
            "hint": "the ticket is probably too large for this backend: raise its limit on header size",
        }
        _log.warning("large_head_refused", extra={"fields": fields})

    def public_location(self, value: bytes) -> bytes:
        """`value` with SERVER_URL in place of a backend's own scheme and authority."""
        if self._origins_of != self.pool.version:
            self._origins = {origin for backend in self.pool.backends for origin in _origins(backend)}
            self._origins_of = self.pool.version
        scheme, separator, rest = value.partition(b"://")
        end = min((at for at in map(rest.find, (b"/", b"?", b"#")) if at >= 0), default=len(rest))
        origin = scheme + separator + rest[:end]
        return self._public + rest[end:] if origin.lower() in self._origins else value


def recheck(connections: Iterable[object]) -> None:
    """End the clients whose certificate was revoked, or expired, since they connected."""
    for client in tuple(connections):
        if isinstance(client, ClientConnection) and client.certificate is not None:
            reason = client.service.still_good(client.certificate)
            if reason is not None:
                client.stop(reason)


def _origins(backend: Backend) -> set[bytes]:
    """How a backend may name itself in a URL, in lower case: with and without the scheme's own port."""
    origin = backend.origin.lower()
    port = {"http": b":80", "https": b":443"}.get(backend.scheme, b"")
    if backend.port != int(port[1:] or 0):
        return {origin}
    return {origin.removesuffix(port), origin.removesuffix(port) + port}
