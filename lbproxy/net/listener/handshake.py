"""The TLS handshake with a client, before its first request."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from lbproxy import reasons
from lbproxy.net.tls import AcceptedTls, ClientRefused, ServerTls, refusal
from lbproxy.net.transport.lingering_close import LingeringClose
from lbproxy.net.transport.peer import Peer
from lbproxy.net.transport.poller import Handler
from lbproxy.net.transport.stream import Stream
from lbproxy.reasons import Reason

if TYPE_CHECKING:
    from lbproxy.net.http.web import WebService
    from lbproxy.net.listener.listener import Listener

_log = logging.getLogger(__name__)


class Handshake(Handler):
    """Ends in a client connection of `service`, or with a reason that `listener` counts."""

    __slots__ = ("_listener", "_service", "_stream", "_tls", "peer")

    def __init__(self, listener: Listener, service: WebService, stream: Stream, tls: ServerTls, peer: Peer) -> None:
        """stream: one of `tls`, whose handshake is still to be done; it has header_timeout for it."""
        self.peer = peer
        self._listener = listener
        self._service = service
        self._stream = stream
        self._tls = tls
        stream.handler = self
        stream.deadline = stream.poller.now + listener.options.header_timeout
        listener.connections.add(self)
        stream.start()

    def __repr__(self) -> str:
        return f"<TLS handshake with {self.peer.name} on {self._listener.name}>"

    def secured(self, stream: Stream) -> None:
        assert isinstance(stream.tls, AcceptedTls)
        try:
            certificate = self._tls.verify(stream.tls)
        except ClientRefused as refused:
            self._refuse(refused.reason, refused.detail)
            return
        stream.deadline = 0
        self._service.handshakes += 1
        if stream.tls.session_reused:
            self._service.resumed += 1
        self._listener.connections.discard(self)
        self._service.begin(self._listener, stream, self.peer, stream.tls.requested_name, certificate)

    def lost(self, stream: Stream, error: object) -> None:
        assert isinstance(error, OSError | ValueError)
        stream.forget_tls()
        self._refuse(*refusal(error))

    def expired(self, stream: Stream) -> None:
        self._end(reasons.TLS_TIMEOUT)

    def crashed(self, stream: Stream, error: object) -> None:
        super().crashed(stream, error)
        self._end(reasons.INTERNAL)

    def drain(self) -> None:
        """It has asked nothing yet: it may, once."""

    def stop(self, reason: Reason) -> None:
        """End it now."""
        self._end(reason)

    def _refuse(self, reason: Reason, detail: str) -> None:
        if reason is reasons.TLS_FAILED:  # that is too common on the Internet to be said each time
            self._end(reason)
            return
        listener = self._listener
        fields = {"listener": listener.name, "client": self.peer.name, "reason": reason.label, "detail": detail}
        _log.warning("client_certificate_refused", extra={"fields": fields})
        # Gently: a client of TLS 1.3 has sent its request already, and a reset would overtake the alert.
        LingeringClose(self._stream, True, lambda: listener.forget(self, reason))

    def _end(self, reason: Reason) -> None:
        self._stream.close()
        self._listener.forget(self, reason)
