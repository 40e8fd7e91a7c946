"""accept(2), without what `socket.socket` does beside it.

That class is Python around the C class that is used here. In a TLS handshake, between whose steps OpenSSL has emptied
the caches of the processor, its calls take as long as a tenth of what lbproxy itself does for the connection.
"""

from __future__ import annotations

import _socket
import select
import socket

Socket = _socket.socket
"""A socket.socket is one, too."""


class ClientSocket(Socket):
    """What socket.socket is made of, with its methods; and as ssl wants it, which refers to it weakly."""

    __slots__ = ("__weakref__",)


class Acceptor:
    """Accepts on `listening`, a socket that is bound, listens and does not block; it stays the caller's."""

    __slots__ = ("_accept", "_family", "_poll")

    def __init__(self, listening: socket.socket) -> None:
        self._accept = listening._accept  # type: ignore[attr-defined]
        self._family = int(listening.family)
        self._poll = select.poll()
        self._poll.register(listening, select.POLLIN)
        if listening.family != socket.AF_UNIX:
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited by what it accepts (tcp(7))

    def __repr__(self) -> str:
        return f"<acceptor of family {self._family}>"

    def waits(self) -> bool:
        """Whether another connection waits. To ask costs a tenth of an accept that finds none, which raises."""
        return bool(self._poll.poll(0))

    def accept(self) -> tuple[ClientSocket, tuple[str, int] | str]:
        """A connection that does not block, and its address. Raises OSError, BlockingIOError when none waits."""
        descriptor, address = self._accept()
        sock = ClientSocket(self._family, socket.SOCK_STREAM, 0, descriptor)
        sock.setblocking(False)
        return sock, address
