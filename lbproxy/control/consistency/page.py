"""A page of a backend that facts are read from, fetched within bounds of time and size."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
from yarl import URL

from lbproxy.control.consistency.reading import Unreadable
from lbproxy.control.probes.attempt import no_answer

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy  # what aiohttp is made of

LONGEST_BODY = 64 * 1024
"""Bytes of a page that are read; it is not the place for more."""


class Page(NamedTuple):
    """An answer to GET. `headers` have names in lower case, and lines of one name joined; `body` may be cut off."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sign_in: str = ""  # what became of it, if the page should be shown to those who sign in

    def content(self) -> bytes:
        """The body of a page that is one. Raises Unreadable: what an error says is about that error."""
        if not 200 <= self.status < 300:
            raise Unreadable(f"the page answers with {self.status}{self.sign_in if self.status == 401 else ''}")
        if coding := self.headers.get("content-encoding"):
            raise Unreadable(f"the page is encoded ({coding}), which was not asked for")
        if len(self.body) > LONGEST_BODY:
            raise Unreadable(f"the page is longer than {LONGEST_BODY // 1024} KiB")
        return self.body


@dataclass(frozen=True, slots=True)
class PageRequest:
    """GET of the absolute `url`, as written, whose answer may take `timeout` seconds.

    `origin` is what users know, as in https://login.corp.example: the request has its host and its scheme, as theirs
    have behind this balancer. There is no X-Forwarded-Host: a connector that puts it before its own configuration
    would tell us what we told it. `tls`, `server_name` and `question` are those of `HttpProbe`. `authorize` makes the
    value of the Authorization header for one request, or raises Unreadable; then the page is asked for without it.
    """

    session: aiohttp.ClientSession
    url: str
    origin: str
    timeout: float
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    authorize: Callable[[], Awaitable[str]] | None = None
    question: str = ""

    async def fetch(self) -> Page:
        """The page, whatever its status. Raises Unreadable when there is no answer."""
        if self.authorize is None:
            return await self._within_time({})
        try:
            headers, sign_in = {"Authorization": await self.authorize()}, " to the probe's ticket"
        except Unreadable as error:  # the page may need no sign-in
            headers, sign_in = {}, f", and the probe has no ticket: {error}"
        return (await self._within_time(headers))._replace(sign_in=sign_in)

    async def _within_time(self, headers: Mapping[str, str]) -> Page:
        try:
            async with asyncio.timeout(self.timeout):
                return await self._get(headers)
        except TimeoutError:
            raise Unreadable(f"no answer within {self.timeout:g} s") from None
        except aiohttp.ClientError as error:
            raise Unreadable(no_answer(error, self.question)) from None

    async def _get(self, more: Mapping[str, str]) -> Page:
        scheme, _, host = self.origin.partition("://")
        response = await self.session.get(
            URL(self.url, encoded=True),
            headers={"Host": host, "X-Forwarded-Proto": scheme, **more},
            allow_redirects=False,
            ssl=self.tls or True,
            server_hostname=self.server_name,
        )
        try:
            return Page(response.status, _joined(response.headers), await _beginning(response.content))
        finally:
            response.close()


def _joined(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    """RFC 9110 section 5.2: several lines of one name are one list."""
    return {name.lower(): ", ".join(headers.getall(name)) for name in headers}


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    """The body, or as much of it as shows that it is too long."""
    body = bytearray()
    while len(body) <= LONGEST_BODY and (more := await content.readany()):
        body += more
    return bytes(body[: LONGEST_BODY + 1])
