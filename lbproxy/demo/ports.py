"""Free TCP ports of this machine."""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def free_port(preferred: int = 0) -> int:
    """`preferred` if it is free on 127.0.0.1, else one that the kernel picks.

    Nothing keeps the port until it is bound for good: who binds it must be ready to find it taken.
    """
    if preferred:
        try:
            return _bound(preferred)
        except OSError:
            pass
    return _bound(0)


def _bound(port: int) -> int:
    with socket.socket() as probe:
        # As servers do: a port whose last connections are in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, port))
        return int(probe.getsockname()[1])
