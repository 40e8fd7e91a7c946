"""Routes as they are served."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import ClientSession

from lbproxy.control.admin.server import AdminServer
from lbproxy.control.admin.sockets import listen
from lbproxy.control.admin.web import Route

Client = ClientSession
"""What asks: of paths alone."""


@asynccontextmanager
async def serving(routes: Iterable[Route]) -> AsyncIterator[Client]:
    """A client of a server of `routes` at a loopback address."""
    sock = listen(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    server = AdminServer(sock, routes)
    await server.start()
    try:
        async with ClientSession(url) as client:
            yield client
    finally:
        await server.stop()
