"""A TLS client whose every byte on the wire is in the test's hands."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import Self

from .client import HOST, Client
from .message import LIMIT, Response, read_body, read_response_head
from .progress import DEADLINE


class SegmentedTls:
    """TLS over a connection without Nagle's algorithm, each flight in writes of `segment` bytes.

    `client` is that connection, and `ahead` goes before TLS; `hello` is the first flight, as it was sent.
    """

    def __init__(self, client: Client, context: ssl.SSLContext, segment: int = 1 << 16, ahead: bytes = b"") -> None:
        self.hello = b""
        self._ahead = ahead
        self._client = client
        self._segment = segment
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=HOST)
        self._plain = asyncio.StreamReader(limit=LIMIT)

    async def __aenter__(self) -> Self:
        async with asyncio.timeout(DEADLINE):
            while True:
                try:
                    self._tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    await self._flush()
                    await self._fill()
            await self._flush()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def ask(self, request: bytes) -> Response:
        """Send `request` and return the whole response."""
        self._tls.write(request)
        await self._flush()
        async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as group:
            reading = group.create_task(self._receive())
            response = await read_response_head(self._plain)
            await read_body(self._plain, response, to_the_end=False)
            reading.cancel()
        return response

    async def _receive(self) -> None:
        while True:
            try:
                self._plain.feed_data(self._tls.read(LIMIT))
            except ssl.SSLWantReadError:
                await self._fill()

    async def _fill(self) -> None:
        data = await self._client.reader.read(LIMIT)
        if not data:
            self._incoming.write_eof()
        self._incoming.write(data)

    async def _flush(self) -> None:
        flight = self._outgoing.read()
        self.hello = self.hello or flight
        flight, self._ahead = self._ahead + flight, b""
        await self._client.send(*(flight[at : at + self._segment] for at in range(0, len(flight), self._segment)))
