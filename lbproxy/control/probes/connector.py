"""aiohttp's connections, with a greeting before TLS and HTTP."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp.client_proto import ResponseHandler

from lbproxy.control.probes import USER_AGENT
from lbproxy.control.probes.connect import connect_any

_MAX_FIELD = 128 * 1024  # bytes; a backend that speaks Kerberos may answer with a large header


def open_session(
    greeting: bytes = b"", force_close: bool = True, trace: aiohttp.TraceConfig | None = None
) -> aiohttp.ClientSession:
    """The session that all requests of a pool's backends may share. Call it on the event loop and close it at the end.

    `greeting` is sent first on each connection; see `connect`. A session without `force_close` keeps connections for
    its next requests; it is not for sharing. Every request is sent once: a backend that breaks connections has to show,
    and a Kerberos token that arrives twice is a replay (RFC 4120 section 3.2.3).
    """
    session = aiohttp.ClientSession(
        connector=GreetingConnector(greeting, force_close=force_close, limit=0),
        trace_configs=[trace] if trace else None,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(),  # none: each probe has its own
        headers={"User-Agent": USER_AGENT},
        skip_auto_headers=["Accept-Encoding"],
        auto_decompress=False,  # a small body stays small
        max_field_size=_MAX_FIELD,
    )
    session._retry_connection = False  # aiohttp sends a GET again by itself, and has no public switch for that
    return session


class GreetingConnector(aiohttp.TCPConnector):
    """A TCPConnector whose connections begin with `greeting`; see `connect`.

    aiohttp has no place for that, so the one step that takes it from a host's addresses to a connection is taken here
    instead. It raises the same errors, and leaves the time limit to the probe.
    """

    def __init__(self, greeting: bytes, *, force_close: bool, limit: int) -> None:
        super().__init__(force_close=force_close, limit=limit)
        self._greeting = greeting

    async def _wrap_create_connection(
        self,
        *args: Any,
        addr_infos: list[AddrInfoType],
        req: aiohttp.ClientRequest,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  # as the method it stands for has it
        client_error: type[Exception] = aiohttp.ClientConnectorError,
        **kwargs: Any,
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        """args, kwargs: what `loop.create_connection` makes a connection of, once there is a socket."""
        try:
            sock = await connect_any(addr_infos, self._greeting)
            return await self._loop.create_connection(*args, sock=sock, **kwargs)
        except ssl.SSLCertVerificationError as error:
            raise aiohttp.ClientConnectorCertificateError(req.connection_key, error) from error
        except OSError as error:
            raise client_error(req.connection_key, error) from error
