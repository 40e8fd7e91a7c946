"""The listening sockets of a configuration."""

from __future__ import annotations

import socket

from lbproxy.config import Address, Config
from lbproxy.control.admin.sockets import remove_stale
from lbproxy.errors import StartError

BACKLOG = 4096
"""Connections that may wait to be accepted; the kernel's net.core.somaxconn caps it."""


def listen_all(config: Config) -> dict[str, socket.socket]:
    """A bound, listening, non-blocking socket for each listener, by name. All or none: raises StartError."""
    sockets: dict[str, socket.socket] = {}
    try:
        for name, listener in config.listeners.items():
            sockets[name] = _listen(f"listener.{name}.bind", listener.bind)
    except StartError:
        for sock in sockets.values():
            sock.close()
        raise
    return sockets


def _listen(key: str, bind: Address) -> socket.socket:
    try:
        sock = _unix(key, bind) if bind.path is not None else _tcp(bind)
    except OSError as error:
        raise StartError(f"{key}: cannot listen on {bind}: {error.strerror}") from error
    sock.setblocking(False)
    return sock


def _tcp(bind: Address) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(
        bind.host, bind.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # [::] and 0.0.0.0 can be two listeners
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _unix(key: str, bind: Address) -> socket.socket:
    """A Unix socket that whoever may enter its directory can connect to; a dead process's is replaced."""
    assert bind.path is not None
    bind.path.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(bind.path, key)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(str(bind.path))
        bind.path.chmod(0o666)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
