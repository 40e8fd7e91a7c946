"""A name server of the tests' own, for what real ones never answer. UDP and TCP on one port of 127.0.0.1."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import dns.flags
import dns.message
import dns.rrset

Answer = Callable[[dns.message.Message], dns.message.Message | None]
"""A query to its answer; None is silence."""


class NameServer(asyncio.DatagramProtocol):
    """`over` has how each question came: udp or tcp."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.over: list[str] = []
        self.port = 0
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[Any, ...]) -> None:
        self.over.append("udp")
        query = dns.message.from_wire(data)
        response = self.answer(query)
        if response is not None:
            wire = response.to_wire(max_size=65535)
            if len(wire) > query.payload:
                response = dns.message.make_response(query)
                response.flags |= dns.flags.TC
                wire = response.to_wire()
            self._transport.sendto(wire, address)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.over.append("tcp")
        size = int.from_bytes(await reader.readexactly(2), "big")
        response = self.answer(dns.message.from_wire(await reader.readexactly(size)))
        if response is not None:
            wire = response.to_wire(max_size=65535)
            writer.write(len(wire).to_bytes(2, "big") + wire)
        writer.close()
        await writer.wait_closed()


def records(query: dns.message.Message, *lines: str) -> dns.message.Message:
    """An answer with these records: NAME TTL IN TYPE DATA each; of the type that was asked for, or CNAME."""
    response = dns.message.make_response(query)
    response.flags |= dns.flags.RA
    kind = query.question[0].rdtype.name
    found: dict[tuple[str, str], list[str]] = {}
    ttls = {}
    for line in lines:
        name, ttl, _, rdtype, data = line.split(maxsplit=4)
        if rdtype in (kind, "CNAME"):
            found.setdefault((name, rdtype), []).append(data)
            ttls[name, rdtype] = int(ttl)
    for (name, rdtype), those in found.items():
        response.answer.append(dns.rrset.from_text_list(name, ttls[name, rdtype], "IN", rdtype, those))
    return response


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[NameServer]:
    server = NameServer(answer)
    tcp = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = tcp.sockets[0].getsockname()[1]
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", server.port))
    sock.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: server, sock=sock)
    try:
        yield server
    finally:
        transport.close()
        tcp.close()
        await tcp.wait_closed()
