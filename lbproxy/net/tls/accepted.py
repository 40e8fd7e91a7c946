"""The server's end of a TLS connection."""

from __future__ import annotations

import os
import socket
import ssl
from typing import Any

from lbproxy.net.tls.openssl import attach

_IN, _OUT = ssl.MemoryBIO(), ssl.MemoryBIO()
"""What every object is made with, and never uses: then it is attached to a descriptor."""


class AcceptedTls:
    """The standard library's TLS object on an accepted socket, whose descriptor it owns.

    `ssl.SSLSocket` is the same with much for code that waits, and takes a tenth of a handshake's time for it. `_sslobj`
    is what an SSLSocket calls so, too; OpenSSL's callback for server names is given this object.
    """

    __slots__ = ("__weakref__", "_fd", "_sock", "_sslobj", "requested_name", "server_side")

    def __init__(self, fd: int, context: ssl.SSLContext, direct: bool = True) -> None:
        """fd: of a socket that does not block. direct: False has Python reach it, as where `attach` cannot."""
        self._fd = fd
        self._sock: socket.socket | None = None
        self._sslobj: Any = context._wrap_bio(_IN, _OUT, True, owner=self)  # type: ignore[attr-defined]
        if not (direct and attach(self._sslobj, fd)):
            self._sock = socket.socket(fileno=fd)
            self._sock.setblocking(False)
            self._sslobj = context._wrap_socket(self._sock, True, owner=self)  # type: ignore[attr-defined]
        self.server_side = True
        self.requested_name: str | None = None  # by the client, in lower case and otherwise as it came (RFC 6066)

    def __repr__(self) -> str:
        return f"<TLS accepted on {self._fd} for {self.requested_name}>"

    def fileno(self) -> int:
        """The descriptor; -1: it is closed."""
        return self._fd

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
        if self._sock is not None:
            self._sock.close()
        elif self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
