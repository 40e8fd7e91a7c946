"""`expand = true`: every address of the name in a backend's URL is a member."""

from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit

from lbproxy.balance.member import Member
from lbproxy.control.discovery.dns_members import at_addresses
from lbproxy.control.discovery.source import Answer, Source, SourceError

_NOT_THERE = frozenset({socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY})
"""The host says that there is no such name, or that it has no address (getaddrinfo(3)). Anything else is a failure."""


class ExpandSource(Source):
    """`member` once for each address of the host in its URL, named NAME@ADDRESS; the host's own look-up finds them."""

    def __init__(self, member: Member) -> None:
        self.name = f"expand:{member.name}"
        self.where = member.url
        self._member = member
        parts = urlsplit(member.url)
        self._scheme, self._host = parts.scheme, parts.hostname or ""
        self._port = parts.port or {"http": 80, "https": 443}[parts.scheme]

    def __repr__(self) -> str:
        return f"<expand source {self.where}>"

    async def look(self, again: bool = False) -> Answer:
        """Raises SourceError when no name server says whether there is such a name."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            if error.errno in _NOT_THERE:
                return Answer(())
            raise SourceError(f"{self._host}: {error.strerror}") from None
        members = at_addresses({str(address[0]).partition("%")[0] for *_, address in found}, self._scheme, self._port)
        return Answer(tuple(self._renamed(one) for one in members))

    def _renamed(self, one: Member) -> Member:
        return self._member._replace(name=f"{self._member.name}@{one.name}", url=one.url)
