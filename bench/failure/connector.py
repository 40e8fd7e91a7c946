"""A connector: a small HTTP/1.1 server that works for 20 ms on each request and writes a journal of what it ran.

Run as a program. It says `ready` on standard output when it listens. Lines on standard input change its mood:

    well     every request is answered
    reset    every connection is reset, and each new one as soon as it is accepted; probes too
    cut      every answer ends early, at another one of ten points each time, and its connection with it; the probe is
             well, as the health page of a program whose real pages fail often is

On TERM it does as the Auth0 AD/LDAP connector does: it goes on for half a second, and then ends without a word.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import sys
from itertools import count
from pathlib import Path
from typing import cast

import click
import uvloop

WORK = 0.02  # seconds
CUTS = 10
_LAST_WORDS = 0.5  # seconds from TERM to the end
_PAGE = 600  # bytes of a body
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close sends RST


def answer(identity: bytes) -> bytes:
    """The whole answer to the request with this id. Its body names the request, so that no other's is taken for it."""
    body = identity + b" " * (_PAGE - len(identity) - 1) + b"\n"
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def cut(whole: bytes, point: int) -> bytes:
    """What is sent of an answer that ends at `point`, 0 to CUTS - 1: four points in the head, six in the body."""
    head = whole.index(b"\r\n\r\n") + 4
    points = (0, 5, 20, head - 3, head, *(head + _PAGE * part // 5 for part in range(1, 5)), len(whole) - 1)
    return whole[: points[point]]


class Connector:
    """What its connections share."""

    def __init__(self, journal: int) -> None:
        self.mood = "well"
        self.open: set[Connection] = set()
        self._journal = journal
        self._points = count()

    def run(self, identity: bytes) -> bytes:
        """Write the request down and return what will be answered."""
        os.write(self._journal, identity + b"\n")  # at once: it has to survive a SIGKILL
        whole = answer(identity)
        return cut(whole, next(self._points) % CUTS) if self.mood == "cut" else whole

    def change(self, mood: str) -> None:
        self.mood = mood
        if mood == "reset":
            for connection in tuple(self.open):
                connection.reset()


class Connection(asyncio.Protocol):
    """One connection from the proxy."""

    def __init__(self, connector: Connector, work: float) -> None:
        self._connector = connector
        self._work = work
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own, which does not inherit from it
        self._connector.open.add(self)
        if self._connector.mood == "reset":
            self.reset()

    def connection_lost(self, error: Exception | None) -> None:
        self._connector.open.discard(self)

    def reset(self) -> None:
        sock: socket.socket = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            whole = end + 4 + length(head)
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            self._begin(head)

    def _begin(self, head: bytes) -> None:
        if not self._work:  # a probe
            self._end(answer(b"probe"), False)
            return
        mood = self._connector.mood
        reply = self._connector.run(head.split(b" ", 2)[1].rpartition(b"=")[2])
        last = mood == "cut" or b"http/1.0" in head or b"\r\nconnection: close" in head
        asyncio.get_running_loop().call_later(self._work, self._end, reply, last)

    def _end(self, reply: bytes, last: bool) -> None:
        self._transport.write(reply)
        if last:
            self._transport.close()


def length(head: bytes) -> int:
    """Content-Length of a head in lower case; the proxies here pass it on as it came."""
    for line in head.split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def _serve(host: str, port: int, probe_port: int, journal: int) -> None:
    loop = asyncio.get_running_loop()
    connector = Connector(journal)
    await loop.create_server(lambda: Connection(connector, WORK), host, port, backlog=1024)
    await loop.create_server(lambda: Connection(connector, 0), host, probe_port)
    loop.add_signal_handler(signal.SIGTERM, loop.call_later, _LAST_WORDS, os._exit, 0)
    print("ready", flush=True)
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        connector.change(line.decode().strip())


@click.command()
@click.argument("host")
@click.argument("port", type=int)
@click.argument("probe_port", type=int)
@click.argument("journal", type=click.Path(path_type=Path))
def main(host: str, port: int, probe_port: int, journal: Path) -> None:
    """Serve users at HOST:PORT and probes at HOST:PROBE_PORT until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started it, which ends it
    descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    uvloop.run(_serve(host, port, probe_port, descriptor))


if __name__ == "__main__":
    main()
