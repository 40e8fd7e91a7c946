"""The server's end of a TLS connection."""

from __future__ import annotations

import os
import socket
import ssl
from functools import lru_cache

from lbproxy.net.tls.openssl import Engine

_IN, _OUT = ssl.MemoryBIO(), ssl.MemoryBIO()
"""What every object is made with, and never uses: then it is attached to a descriptor."""

NAMES_KEPT = 256
"""Names that were asked for last, and that connections share."""


class AcceptedTls(Engine):
    """The standard library's TLS object on an accepted socket, with the engine that drives it; it owns the descriptor.

    `ssl.SSLSocket` is the same with much for code that waits, and takes a tenth of a handshake's time for it.
    """

    __slots__ = ("__weakref__", "_fd", "_sock", "heard")

    server_side = True

    def __init__(self, fd: int, context: ssl.SSLContext, direct: bool = True) -> None:
        """fd: of a socket that does not block. direct: False has Python reach it, as where `attach` cannot."""
        self._fd = fd
        self._sock: socket.socket | None = None
        # The server name, by OpenSSL's callback for it, where `server_name` is not known.
        self.heard: str | None = None
        super().__init__(context._wrap_bio(_IN, _OUT, True), direct)  # type: ignore[attr-defined]
        if not self.attach(fd):
            self._sock = socket.socket(fileno=fd)
            self._sock.setblocking(False)
            super().__init__(context._wrap_socket(self._sock, True, owner=self), False)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return f"<TLS accepted on {self._fd} for {self.requested_name}>"

    def fileno(self) -> int:
        """The descriptor; -1: it is closed."""
        return self._fd

    @property
    def session_reused(self) -> bool:
        """Whether the handshake resumed a session."""
        return bool(self._sslobj.session_reused)

    @property
    def requested_name(self) -> str | None:
        """The host that the client asked for, in lower case and otherwise as it came (RFC 6066)."""
        return host_asked(self.server_name or self.heard)

    def peer_certificate(self) -> bytes | None:
        """What the client has shown, in DER."""
        found: bytes | None = self._sslobj.getpeercert(True)
        return found

    def close(self) -> None:
        """Close the socket; nothing is said to the client."""
        self.let_go()
        if self._sock is not None:
            self._sock.close()
        elif self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


@lru_cache(NAMES_KEPT)
def host_asked(name: str | None) -> str | None:
    """Which host a server name is, in lower case.

    An address is none (RFC 6066 section 3), though some clients send it: they have asked for no host.
    """
    if name is None or ":" in name or (name[-1:].isdigit() and name.rpartition(".")[2].isdigit()):
        return None
    return name.lower()
