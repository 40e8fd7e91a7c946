"""The addresses of this host, as the kernel has them now, and the moment when one comes or goes (rtnetlink(7)).

To bind to an address, or to ask for the route to it, says less: with net.ipv4.ip_nonlocal_bind, as hosts with VRRP
often have it, every bind succeeds, and the route to a secondary address names the primary one.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Self

from lbproxy.ip_addresses import IpAddress

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr, netlink(7): length, type, flags, sequence, port
_ADDRESS = struct.Struct("=BBBBI")  # struct ifaddrmsg: family, prefix, flags, scope, interface
_ATTRIBUTE = struct.Struct("=HH")  # struct rtattr: length, type
_NEW_ADDRESS, _GET_ADDRESS, _ERROR, _DONE = 20, 22, 2, 3  # RTM_NEWADDR, RTM_GETADDR, NLMSG_ERROR, NLMSG_DONE
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_GROUPS = 0x10 | 0x100  # RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR
_LARGEST = 1 << 16  # bytes; the kernel's messages of a dump are half of that


def present(wanted: Iterable[IpAddress]) -> list[IpAddress]:
    """Those of `wanted` that this host has now, in their order. Raises OSError."""
    here = set(host_addresses())
    return [one for one in wanted if one in here]


def host_addresses() -> Iterator[IpAddress]:
    """All addresses of all interfaces. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        request = _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        sock.send(_HEADER.pack(_HEADER.size + len(request), _GET_ADDRESS, _DUMP, 1, 0) + request)
        while True:
            for kind, body in _messages(sock.recv(_LARGEST)):
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError(-struct.unpack_from("=i", body)[0], "the kernel does not list its addresses")
                if kind == _NEW_ADDRESS:
                    yield from _address(body)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        length, kind, *_ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : length]
        data = data[_aligned(length) :]


def _address(body: bytes) -> Iterator[IpAddress]:
    """IFA_LOCAL where there is one: with it, IFA_ADDRESS is the other end of a point-to-point interface."""
    attributes = dict(_attributes(body[_ADDRESS.size :]))
    found = attributes.get(_IFA_LOCAL, attributes.get(_IFA_ADDRESS))
    if found is not None:
        yield ip_address(found)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        length, kind = _ATTRIBUTE.unpack_from(data)
        yield kind, data[_ATTRIBUTE.size : length]
        data = data[_aligned(length) :]


def _aligned(length: int) -> int:
    return (length + 3) & ~3


class AddressChanges:
    """Notices every address that comes or goes from its beginning on. Closed at the end of its block."""

    def __init__(self) -> None:
        """Raises OSError."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.setblocking(False)
        self._socket.bind((0, _GROUPS))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    async def next(self) -> None:
        """Wait until there has been a change since the last call. Raises OSError."""
        try:
            await asyncio.get_running_loop().sock_recv(self._socket, _LARGEST)
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # there were more than could be kept: so there was one
                raise
