"""The admin interface's web server."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lbproxy.control import tasks
from lbproxy.control.admin import web
from lbproxy.control.admin.exchange import GRACE, Exchange
from lbproxy.control.admin.guard import refuse_foreign
from lbproxy.control.admin.sockets import remove_stale
from lbproxy.control.log import event
from lbproxy.errors import StartError

log = logging.getLogger(__name__)

MOST = 100
"""Connections of one server at a time."""

_STOP_WITHIN = 1.0
"""Seconds for requests that are being answered."""


class AdminServer:
    """Serves `routes` on a listening socket, which it closes in the end."""

    def __init__(self, sock: socket.socket, routes: Iterable[web.Route], anybody: bool = False) -> None:
        """sock: one of `sockets.listen`. anybody: at any address; every client is answered."""
        self._sock = sock
        self._name = sock.getsockname()
        self._routes = tuple(routes)
        # File permissions guard a Unix socket, and no browser can be made to open one.
        self._port: int | None = None if anybody or self._path else self._name[1]
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], Exchange] = {}
        self._was_full = False

    def __repr__(self) -> str:
        return f"<AdminServer {self._path or self._name}>"

    async def start(self) -> None:
        """Accept from now on."""
        self._server = await asyncio.start_server(self._connected, sock=self._sock)

    async def stop(self) -> None:
        """Finish what is being answered, close, and remove the socket's file unless it is another process's by now."""
        if self._server is not None:
            self._server.close()
            await asyncio.sleep(0)  # what was accepted is a connection by then
            await self._finish()
        self._sock.close()
        if self._path:
            with suppress(StartError, OSError):  # where this process may not, the one that made it does
                remove_stale(self._path)

    async def _finish(self) -> None:
        for exchange in self._open.values():
            exchange.finish()
        if self._open:
            await asyncio.wait(self._open, timeout=GRACE + _STOP_WITHIN)
        await tasks.stop(*self._open)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._has_room():
            writer.transport.abort()
            return
        exchange = Exchange(reader, writer, self._answer)
        task = tasks.start(exchange.run(), name="admin")
        self._open[task] = exchange
        task.add_done_callback(lambda done: self._open.pop(done, None))

    def _has_room(self) -> bool:
        """Whether one more may come. The oldest connection whose client does nothing ends for it."""
        if len(self._open) < MOST:
            self._was_full = self._was_full and len(self._open) > MOST // 2
            return True
        if not self._was_full:
            self._was_full = True
            event(log, logging.WARNING, "admin_full", bind=str(self._path or self._name), connections=MOST)
        idle = next((task for task, exchange in self._open.items() if exchange.waits_for_client), None)
        if idle is not None:
            del self._open[idle]
            idle.cancel()
        return idle is not None

    async def _answer(self, request: web.Request) -> web.Response:
        if self._port is not None:
            refuse_foreign(request, self._port)
        return await web.answer(self._routes, request)

    @property
    def _path(self) -> Path | None:
        return Path(self._name) if self._sock.family == socket.AF_UNIX else None
