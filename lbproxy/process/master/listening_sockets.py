"""The listening sockets, as the master binds and holds them. Imported by it, so this imports little."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import NamedTuple

from lbproxy.control.admin import sockets as admin
from lbproxy.errors import StartError

BACKLOG = 4096
"""Connections that may wait to be accepted; the kernel's net.core.somaxconn caps it."""


_FREEBIND = {
    socket.AF_INET: (socket.IPPROTO_IP, 15),  # IP_FREEBIND, ip(7)
    socket.AF_INET6: (socket.IPPROTO_IPV6, 78),  # IPV6_FREEBIND of linux/in6.h
}
"""Level and name of the option to bind an address that this host does not have."""


class Place(NamedTuple):
    """Where to listen: a host (no brackets) and a port, or the path of a Unix socket.

    `tag` tells two places with port 0, which is any, apart. Equal places are one socket, over reloads too.
    """

    host: str = ""
    port: int = 0
    path: str = ""
    tag: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Wanted(NamedTuple):
    """A place that a configuration needs: `key` is its name for it; `admin`: the admin interface's.

    A master of the release before takes exactly these three: what is new is a field of `Needs` of its own.
    """

    key: str
    place: Place
    admin: bool = False


class Owner(NamedTuple):
    """The owner of the files of Unix sockets; -1: the account that makes them."""

    uid: int = -1
    gid: int = -1


MAKER = Owner()
"""Nobody else."""


def listen(wanted: Wanted, owner: Owner = MAKER, *, freebind: bool = False) -> socket.socket:
    """A bound, listening, non-blocking socket. Raises StartError.

    freebind: the address may be one that this host does not have, or not yet.
    """
    place = wanted.place
    if wanted.admin:
        sock = admin.listen(Path(place.path) if place.path else (place.host, place.port))
    else:
        sock = _listen(wanted, freebind)
    if place.path and owner != MAKER:
        _give(wanted, owner, sock)
    sock.setblocking(False)
    return sock


def _give(wanted: Wanted, owner: Owner, sock: socket.socket) -> None:
    try:
        os.chown(wanted.place.path, *owner, follow_symlinks=False)
    except OSError as error:
        sock.close()
        raise StartError(f"{wanted.key}: cannot give {wanted.place} away: {error.strerror}") from error


def _listen(wanted: Wanted, freebind: bool) -> socket.socket:
    try:
        return _unix(wanted) if wanted.place.path else _tcp(wanted.place, freebind)
    except OSError as error:
        raise StartError(f"{wanted.key}: cannot listen on {wanted.place}: {error.strerror}") from error


def _tcp(place: Place, freebind: bool) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(
        place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # [::] and 0.0.0.0 can be two listeners
        if freebind:
            sock.setsockopt(*_FREEBIND[family], 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _unix(wanted: Wanted) -> socket.socket:
    """One that is open to every account which may enter its directory. That of a dead process is replaced."""
    path = Path(wanted.place.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    admin.remove_stale(path, wanted.key)
    sock = socket.socket(socket.AF_UNIX)
    try:
        admin.bind_unix(sock, path, 0o666)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
