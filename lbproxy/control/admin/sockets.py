"""The admin interface's listening socket."""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import ip_address
from pathlib import Path

from lbproxy.errors import StartError

Bind = Path | tuple[str, int]
"""A Unix socket's path, or a loopback host (no brackets) and a port."""


def listen(bind: Bind) -> socket.socket:
    """A listening socket at `bind`.

    A Unix socket is for its owner only (mode 0600); a missing parent directory is made; the file of a dead process
    is replaced, the socket of a live one is not. Raises StartError.
    """
    try:
        return _listen_unix(bind) if isinstance(bind, Path) else _listen_tcp(*bind)
    except OSError as error:
        where = bind if isinstance(bind, Path) else f"{bind[0]} port {bind[1]}"
        raise StartError(f"admin.bind: cannot listen on {where}: {error.strerror or error}") from error


def remove_stale(path: Path, key: str = "admin.bind") -> None:
    """Remove the Unix socket at `path`, if no process listens on it any more. Raises StartError if it must stay.

    `key` is the configuration's name for the path.
    """
    if not path.exists():
        return
    if not path.is_socket():
        raise StartError(f"{key}: {path} exists and is not a socket")
    if not _refuses(path):
        raise StartError(f"{key}: another process listens on {path}")
    path.unlink(missing_ok=True)


def bind_unix(sock: socket.socket, path: Path, mode: int) -> None:
    """Bind, so that the file has `mode` from its beginning, whatever the umask. Raises OSError.

    A chmod afterwards would change whatever another user has put at the path meanwhile, with the rights of root.
    """
    os.fchmod(sock.fileno(), mode)  # which bind(2) gives the file, less the umask
    umask = os.umask(0)
    try:
        sock.bind(str(path))
    finally:
        os.umask(umask)


def _listen_unix(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(path)
    sock = socket.socket(socket.AF_UNIX)
    try:
        bind_unix(sock, path, 0o600)
        sock.listen()
    except OSError:
        sock.close()
        raise
    return sock


def _listen_tcp(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    if not ip_address(address[0]).is_loopback:
        raise StartError(f"admin.bind: {host} is not a loopback address, and whoever reaches it could give orders")
    return socket.create_server((str(address[0]), port), family=family)


def _refuses(path: Path) -> bool:
    """Only a refused connection is proof of a dead owner; one that is too busy to accept (EAGAIN) lives."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)
        return sock.connect_ex(str(path)) == errno.ECONNREFUSED
