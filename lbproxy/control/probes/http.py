"""The http probe: the backend is healthy if it answers one request with an expected status.

Every probe opens a connection of its own, so that accepting is probed too, and nothing that a backend ties to a
connection or a cookie outlives it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from lbproxy.control.probes import USER_AGENT, ProbeResult
from lbproxy.control.probes.answer import Answer, NoAnswerError
from lbproxy.control.probes.attempt import attempt
from lbproxy.control.probes.connect import GOODBYE, connect
from lbproxy.control.probes.sockets import Place, Sockets, place
from lbproxy.wire.hosts import port_of

_LENGTH = 16 * 1024  # bytes that are read at once


@dataclass(frozen=True)
class HttpProbe:
    """Sends `method` to the absolute `url`, as written, and expects a status of `expect` within `timeout` seconds.

    `host` is the Host header: backends are asked under the name that users know. `tls` is for https URLs, and only for
    them, with `server_name`, if any, as the name that the certificate must have instead of the URL's host. `greeting`:
    see `connect`; `bare_lf`: see `Answer`; `question`: see `attempt.describe`.
    """

    sockets: Sockets
    url: str
    host: str
    timeout: float
    method: str = "GET"
    expect: Set[int] = frozenset({200})
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    greeting: bytes = b""
    bare_lf: bool = False
    question: str = ""

    def __post_init__(self) -> None:
        assert (urlsplit(self.url).scheme == "https") == (self.tls is not None)

    async def run(self) -> ProbeResult:
        """Probe once; see `Probe`."""
        return await attempt(self._ask(), self.timeout, self.question)

    async def _ask(self) -> tuple[bool, str]:
        try:
            status = await (self._plainly() if self.tls is None else self._secretly(self.tls))
        except NoAnswerError as error:
            return False, str(error)
        if status in self.expect:
            return True, str(status)
        return False, f"{status}, expected {' or '.join(map(str, sorted(self.expect)))}"

    # The head is all: the body, however long, is not read.

    async def _plainly(self) -> int:
        with await self.sockets.connect(self._place, self.greeting + self._request) as sock:
            answer = self._answer()
            while (status := answer.status(await self.sockets.receive(sock))) is None:
                pass
            return status

    async def _secretly(self, tls: ssl.SSLContext) -> int:
        sock = await connect(self._place.host, self._place.port, self.greeting)
        reader, writer = await asyncio.open_connection(
            sock=sock, ssl=tls, server_hostname=self.server_name or self._place.host, ssl_shutdown_timeout=GOODBYE
        )
        try:
            writer.write(self._request)
            answer = self._answer()
            while (status := answer.status(await reader.read(_LENGTH))) is None:
                pass
            return status
        finally:
            writer.close()

    def _answer(self) -> Answer:
        return Answer(self.method == "HEAD", self.bare_lf)

    @cached_property
    def _place(self) -> Place:
        parts = urlsplit(self.url)
        return place(parts.hostname or "", port_of(parts))

    @cached_property
    def _request(self) -> bytes:
        parts = urlsplit(self.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = (
            f"{self.method} {target} HTTP/1.1",
            f"Host: {self.host}",
            f"User-Agent: {USER_AGENT}",
            "Accept: */*",
            "Connection: close",
        )
        return "\r\n".join((*lines, "", "")).encode()
