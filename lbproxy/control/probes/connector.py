"""aiohttp's connections, with a greeting before TLS and HTTP."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp.client_proto import ResponseHandler

from lbproxy.control.probes.connect import connect_any


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
