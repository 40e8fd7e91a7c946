"""The server's end of a TLS connection."""

from __future__ import annotations

import ssl
from typing import Any

from lbproxy.net.transport.accept import Socket


class AcceptedTls:
    """The standard library's TLS object on an accepted socket, which it owns.

    `ssl.SSLSocket` is the same with much for code that waits, and takes a tenth of a handshake's time for it. `_sslobj`
    is what an SSLSocket calls so, too; OpenSSL's callback for server names is given this object.
    """

    __slots__ = ("__weakref__", "_sock", "_sslobj", "requested_name", "server_side")

    def __init__(self, sock: Socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._sslobj: Any = context._wrap_socket(sock, True, owner=self)  # type: ignore[attr-defined]
        self.server_side = True
        self.requested_name: str | None = None  # by the client, in lower case and otherwise as it came (RFC 6066)

    def __repr__(self) -> str:
        return f"<TLS accepted on {self._sock.fileno()} for {self.requested_name}>"

    def fileno(self) -> int:
        """The descriptor."""
        return self._sock.fileno()

    @property
    def session_reused(self) -> bool:
        """Whether the handshake resumed a session."""
        return bool(self._sslobj.session_reused)

    def present(self, context: ssl.SSLContext) -> None:
        """Go on with the certificate of this context: during the handshake, by the name that was asked for."""
        self._sslobj.context = context

    def peer_certificate(self) -> bytes | None:
        """What the client has shown, in DER."""
        found: bytes | None = self._sslobj.getpeercert(True)
        return found

    def close(self) -> None:
        """Close the socket; nothing is said to the client."""
        self._sslobj = None
        self._sock.close()
