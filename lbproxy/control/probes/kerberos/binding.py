"""Does a connector keep the user on the connection?

With one that does, the next request on the connection is answered as the same user without any credentials. Private
lanes are there for that, and are private whatever the answer is here, which is for people.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

import aiohttp

from lbproxy.control.probes.connector import open_session
from lbproxy.control.probes.kerberos.exchange import Page, request

_LONGEST_BODY = 1 << 20  # bytes that are read so that the connection can be used again


class KeptConnection:
    """A session of its own that keeps its connection, and counts how many it had to open: more than one is another.

    `greeting` is sent first on each; see `connect`.
    """

    def __init__(self, greeting: bytes = b"") -> None:
        self.opened = 0
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_start.append(self._count)
        self.session = open_session(greeting, force_close=False, trace=trace)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.session.close()

    async def _count(self, *_: object) -> None:
        self.opened += 1


async def keeps_user(
    connection: KeptConnection, signed_in: aiohttp.ClientResponse, page: Page, others: aiohttp.ClientSession
) -> bool | None:
    """Whether `page` is still shown, without a token, on the connection where the answer `signed_in` came.

    None is not known: the connector closed the connection, or shows the page to a stranger, asked over `others`, too.
    Raises KerberosFailure or aiohttp.ClientError when there is no answer.
    """
    await _read(signed_in)
    status = await _status(connection.session, page)
    if connection.opened > 1:
        return None
    if status == 401:
        return False
    return True if status in page.success and await _status(others, page) == 401 else None


async def _read(response: aiohttp.ClientResponse) -> None:
    """To the end, which sets the connection free for the next request; a body that is too long ends it."""
    length = 0
    try:
        async for chunk in response.content.iter_any():
            length += len(chunk)
            if length > _LONGEST_BODY:
                break
    finally:
        response.close()


async def _status(session: aiohttp.ClientSession, page: Page) -> int:
    response = await request(session, page)
    response.close()
    return response.status
