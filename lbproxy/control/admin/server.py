"""The admin interface's web server."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from lbproxy.control.admin.guard import guard
from lbproxy.control.admin.sockets import remove_stale
from lbproxy.errors import StartError

_STOP_WITHIN = 1.0  # seconds for requests that are being answered

_GRACE = 0.1
"""Seconds for the request of a client that connected just before a stop: after a reload, say, it is not refused."""


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a fault is this program's. A client that does not speak HTTP is told so with 400, and is none."""
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError)


_log = logging.getLogger("aiohttp.server.admin")
_log.addFilter(_is_ours)


class AdminServer:
    """Serves `routes` on a listening socket, which it closes in the end."""

    def __init__(self, sock: socket.socket, routes: Iterable[web.AbstractRouteDef], anybody: bool = False) -> None:
        """sock: one of `sockets.listen`. anybody: at any address; every client is answered."""
        self._sock = sock
        self._name = sock.getsockname()
        # File permissions guard a Unix socket, and no browser can be made to open one.
        app = web.Application(middlewares=[] if anybody or self._path else [guard(self._name[1])])
        app.add_routes(routes)
        self._runner = web.AppRunner(
            app, access_log=None, logger=_log, handle_signals=False, shutdown_timeout=_STOP_WITHIN
        )

    def __repr__(self) -> str:
        return f"<AdminServer {self._path or self._name}>"

    async def start(self) -> None:
        """Accept from now on."""
        await self._runner.setup()
        await web.SockSite(self._runner, self._sock).start()

    async def stop(self) -> None:
        """Finish what is being answered, close, and remove the socket's file unless it is another process's by now."""
        for site in [*self._runner.sites]:
            await site.stop()
        await self._heard()
        await self._runner.cleanup()
        self._sock.close()
        if self._path:
            with suppress(StartError, OSError):  # where this process may not, the one that made it does
                remove_stale(self._path)

    async def _heard(self) -> None:
        """Return when those who have connected have sent what they ask, as far as they do so at once."""
        await asyncio.sleep(0)  # what was accepted is a connection by then
        server = self._runner.server
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                while server is not None and server.connections:  # noqa: ASYNC110 # it has no event for it
                    await asyncio.sleep(_GRACE / 10)

    @property
    def _path(self) -> Path | None:
        return Path(self._name) if self._sock.family == socket.AF_UNIX else None
