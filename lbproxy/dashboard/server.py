"""A web server for a few browsers: bounded connections, and a deadline for each that asks nothing or takes nothing."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from lbproxy.dashboard.safety import HEADERS

MOST = 300
"""Connections at a time."""

FIRST_WITHIN = 15.0
"""Seconds for the TLS handshake, and for the first request after that."""

TAKEN_WITHIN = 30.0
"""Seconds for a client to take what was written for it."""

MOST_BYTES = 192 * 1024
"""From one client before its next request is looked at: a head with a large ticket, and a form."""

_SWEEP_EVERY = 2.0

_MAX_HEADER = 128 * 1024
"""Bytes: a Kerberos ticket with many groups reaches 64 KB."""


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a fault is this program's. A client that does not speak HTTP is told so with 400, and is none."""
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError | ConnectionError)


_log = logging.getLogger("aiohttp.server.dashboard")
_log.addFilter(_is_ours)


class _Refused(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.abort()


class _Connection(web.RequestHandler):
    """aiohttp bounds the single fields of a head, and 128 of them may come; here, all of it is bounded."""

    def __init__(self, server: web.Server) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # there is none
            logger=_log,
            keepalive_timeout=30.0,
            max_field_size=_MAX_HEADER,
        )
        self.has_asked = False
        self._began = time.monotonic()
        self._stuck_since: float | None = None
        self._unread = 0

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        if self._unread <= MOST_BYTES:
            super().data_received(data)
        elif self.transport is not None:
            self.transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Without what was sent, and without the versions of what runs here."""
        response = super().handle_error(request, status, exc, message)
        response = web.Response(status=status, text=f"{status} {response.reason}\n", headers=HEADERS)
        response.force_close()
        return response

    def asks(self) -> None:
        """A request has come, whole but for its body."""
        self.has_asked = True
        self._unread = 0

    def is_over(self, now: float) -> bool:
        """Whether it has gone; one that is late is cut off here."""
        late = now - self._began > FIRST_WITHIN
        if self.transport is None:  # in its handshake, or gone
            return self.has_asked or now - self._began > FIRST_WITHIN + 1.0
        if not self.transport.get_write_buffer_size():
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = now
        stuck = self._stuck_since is not None and now - self._stuck_since > TAKEN_WITHIN
        if stuck or (late and not self.has_asked):
            self.transport.abort()
        return self.transport.is_closing()


class Server:
    """Serves `app` on a listening socket, which it closes in the end."""

    def __init__(self, app: web.Application, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        app.middlewares.insert(0, self._hear)
        self._sock = sock
        self._tls = tls
        self._open: set[_Connection] = set()
        self._runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=1.0)
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<dashboard server, {len(self._open)} connections>"

    async def start(self) -> None:
        """Accept from now on."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        within = None if self._tls is None else FIRST_WITHIN
        self._server = await loop.create_server(
            self._accept, sock=self._sock, ssl=self._tls, ssl_handshake_timeout=within, ssl_shutdown_timeout=within
        )
        self._sweep()

    async def stop(self) -> None:
        """Accept no more, and end what is open."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()

    def _accept(self) -> asyncio.Protocol:
        if len(self._open) >= MOST:
            return _Refused()
        server = self._runner.server
        assert server is not None
        connection = _Connection(server)
        self._open.add(connection)
        return connection

    @web.middleware
    async def _hear(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if isinstance(request.protocol, _Connection):
            request.protocol.asks()
        return await handler(request)

    def _sweep(self) -> None:
        """aiohttp has no deadline for a first request, and none for an answer."""
        now = time.monotonic()
        self._open = {one for one in self._open if not one.is_over(now)}
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_EVERY, self._sweep)
