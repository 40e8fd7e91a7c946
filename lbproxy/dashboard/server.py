"""A web server for a few browsers: bounded connections, and a deadline for each that has not asked anything yet."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

MOST = 300
"""Connections at a time."""

FIRST_WITHIN = 15.0
"""Seconds for the TLS handshake, and for the first request after that."""

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


class Server:
    """Serves `app` on a listening socket, which it closes in the end."""

    def __init__(self, app: web.Application, sock: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        app.middlewares.insert(0, self._hear)
        self._sock = sock
        self._tls = tls
        self._open: dict[web.RequestHandler, float] = {}
        self._heard: set[web.RequestHandler] = set()
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_log,
            handle_signals=False,
            shutdown_timeout=1.0,
            keepalive_timeout=30.0,
            max_field_size=_MAX_HEADER,
        )
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
        handler = server()
        self._open[handler] = time.monotonic()
        return handler

    @web.middleware
    async def _hear(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._heard.add(request.protocol)
        return await handler(request)

    def _sweep(self) -> None:
        """aiohttp has no deadline for a first request."""
        now = time.monotonic()
        for handler, began in list(self._open.items()):
            transport = handler.transport
            late = now - began > FIRST_WITHIN
            if transport is None:  # in its handshake, or gone
                gone = handler in self._heard or now - began > FIRST_WITHIN + 1.0
            else:
                if late and handler not in self._heard:
                    transport.abort()
                gone = transport.is_closing()
            if gone:
                del self._open[handler]
                self._heard.discard(handler)
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_EVERY, self._sweep)
