"""The http probe: the backend is healthy if it answers one request with an expected status.

Every probe opens a connection of its own, so that accepting is probed too, and nothing that a backend ties to a
connection or a cookie outlives it.
"""

from __future__ import annotations

import ssl
from collections.abc import Set
from dataclasses import dataclass

import aiohttp
from yarl import URL

from lbproxy import __version__
from lbproxy.control.probes import ProbeResult
from lbproxy.control.probes.attempt import attempt, no_answer
from lbproxy.control.probes.connector import GreetingConnector

_MAX_FIELD = 128 * 1024  # bytes; a backend that speaks Kerberos may answer with a large header


def open_session(
    greeting: bytes = b"", force_close: bool = True, trace: aiohttp.TraceConfig | None = None
) -> aiohttp.ClientSession:
    """The session that all probes of a pool may share. Call it on the event loop and close it at the end.

    `greeting` is sent first on each connection; see `connect`. A session without `force_close` keeps connections for
    its next requests; it is not for sharing.
    """
    return aiohttp.ClientSession(
        connector=GreetingConnector(greeting, force_close=force_close, limit=0),
        trace_configs=[trace] if trace else None,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(),  # none: each probe has its own
        headers={"User-Agent": f"lbproxy-probe/{__version__}"},
        skip_auto_headers=["Accept-Encoding"],
        auto_decompress=False,  # a small body stays small
        max_field_size=_MAX_FIELD,
    )


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """Sends `method` to the absolute `url`, as written, and expects a status of `expect` within `timeout` seconds.

    `host` is the Host header: backends are asked under the name that users know. `tls` is for https URLs, with
    `server_name`, if any, as the name that the certificate must have instead of the URL's host.
    """

    session: aiohttp.ClientSession
    url: str
    host: str
    timeout: float
    method: str = "GET"
    expect: Set[int] = frozenset({200})
    tls: ssl.SSLContext | None = None
    server_name: str | None = None

    async def run(self) -> ProbeResult:
        """Probe once; see `Probe`."""
        return await attempt(self._ask(), self.timeout)

    async def _ask(self) -> tuple[bool, str]:
        try:
            status = await self._status()
        except aiohttp.ClientError as error:
            return False, no_answer(error)
        if status in self.expect:
            return True, str(status)
        return False, f"{status}, expected {' or '.join(map(str, sorted(self.expect)))}"

    async def _status(self) -> int:
        response = await self.session.request(
            self.method,
            URL(self.url, encoded=True),
            headers={"Host": self.host},
            allow_redirects=False,
            ssl=self.tls or True,
            server_hostname=self.server_name,
        )
        response.close()  # the head was all; the body, however long, is not read
        return response.status
