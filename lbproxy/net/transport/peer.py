"""The address that a client connection comes from, and the one that it went to."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Self

from lbproxy.ip_addresses import IpAddress

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Endpoint = tuple[str, int]


class Peer:
    """`host` is an address without brackets, "" of a Unix socket; `name` is what logs show, with the port.

    `source` and `destination` are the two ends of the client's own connection, for a PROXY header; None: not known.
    """

    __slots__ = ("_address", "_name", "_port", "destination", "host")

    def __init__(self, source: Endpoint | None, destination: Endpoint | None = None) -> None:
        self.host, self._port = ("", 0) if source is None else source
        self.destination = destination
        self._address: IpAddress | None = None
        self._name = ""

    @property
    def source(self) -> Endpoint | None:
        """Its address and port; None: not known."""
        return (self.host, self._port) if self.host else None

    @property
    def name(self) -> str:
        """Made when it is asked for first."""
        if not self._name:
            host = f"[{self.host}]" if ":" in self.host else self.host
            self._name = f"{host}:{self._port}" if host else "unix"
        return self._name

    @classmethod
    def accepted(cls, address: Endpoint | str) -> Self:
        """Of the client's address as accept() gives it."""
        if not isinstance(address, tuple):
            return cls(None)
        return cls(_plain(address) if ":" in address[0] else address)

    def connected_to(self, fd: int) -> None:
        """Find out the destination from the connection itself, unless it is known. fd: its descriptor."""
        if self.host and self.destination is None:
            sock = socket.socket(fileno=fd)
            try:
                self.destination = _plain(sock.getsockname()[:2])
            finally:
                sock.detach()

    def __repr__(self) -> str:
        return f"<peer {self.name}>"

    def within(self, networks: Sequence[Network]) -> bool:
        """Whether the address is in one of them; that of a Unix socket's peer is in none."""
        if not networks or not self.host:
            return False
        if self._address is None:
            self._address = ipaddress.ip_address(self.host)
        return any(self._address in network for network in networks)


def _plain(address: Endpoint) -> Endpoint:
    """An IPv4 client of an IPv6 socket is an IPv4 client; a scope has no meaning on another host."""
    host = address[0]
    return (host.removeprefix("::ffff:") if "." in host else host.partition("%")[0]), address[1]
