"""One call of an API server, or one watch (https://kubernetes.io/docs/reference/using-api/api-concepts)."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohappyeyeballs import AddrInfoType

from lbproxy.control.kubernetes.account import Account
from lbproxy.control.kubernetes.errors import ExpiredError, KubernetesError, RefusedError, UnavailableError
from lbproxy.control.probes.attempt import no_answer

DEADLINE = 5.0
"""Seconds that a call may take, and a watch until it begins."""

_LONGEST_LINE = 16 * 1024 * 1024  # bytes; etcd takes objects of 1.5 MiB
_LONGEST_ANSWER = 256 * 1024 * 1024
_SHOWN = 300  # characters of what the server says
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 15), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3))
"""A watch may be silent for minutes; a host that died is noticed in half of one (seconds, seconds, times)."""


class Api:
    """The API server of `account`. Paths begin with a slash; every call raises KubernetesError."""

    def __init__(self, account: Account) -> None:
        """Call it on the running loop, and `close` it at the end. Nothing is asked yet."""
        self.server = ""  # that was asked last
        self._account = account
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(socket_factory=_watched),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),  # none: each call has its own
        )

    def __repr__(self) -> str:
        return f"<API server of {self._account.where}>"

    async def close(self) -> None:
        """Close every connection. Streams have to be closed first."""
        await self._session.close()

    async def get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """The JSON object at `path`."""
        stream = await self.open(path, query)
        try:
            async with asyncio.timeout(DEADLINE):
                return stream.judge(await stream.rest())
        except TimeoutError:
            raise UnavailableError(stream.server, f"no whole answer within {DEADLINE:g} s") from None
        finally:
            stream.close()

    async def open(self, path: str, query: Mapping[str, str]) -> Stream:
        """An answer of status 200, to be read and closed. A token that is not accepted is replaced once."""
        for renew in (False, True):
            access = await self._account.access(renew)
            self.server = access.server
            headers = {"Accept": "application/json", "User-Agent": "lbproxy"}
            if access.authorization:
                headers["Authorization"] = access.authorization
            try:
                async with asyncio.timeout(DEADLINE):
                    response = await self._session.get(
                        f"{access.server}{path}", params=query, headers=headers, allow_redirects=False,
                        ssl=access.tls or True, proxy=access.proxy, server_hostname=access.server_name,
                    )  # fmt: skip
                    if response.status == 200:
                        return Stream(access.server, response)
                    async with response:
                        content = await response.content.read(1024 * 1024)
            except TimeoutError:
                raise UnavailableError(access.server, f"no answer within {DEADLINE:g} s") from None
            except aiohttp.ClientError as error:
                raise UnavailableError(access.server, no_answer(error)) from None
            if response.status != 401 or renew:
                break
        raise _refusal(access.server, response, content)


class Stream:
    """The body of an answer of `server`."""

    def __init__(self, server: str, response: aiohttp.ClientResponse) -> None:
        self.server = server
        self._response = response
        self._buffer = bytearray()

    def __repr__(self) -> str:
        return f"<stream of {self.server}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    async def line(self) -> dict[str, Any] | None:
        """The next object, a line each; None when the server has ended it. May be cancelled and called again.

        A line that was cut off by the end counts as nothing. Raises UnavailableError.
        """
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > _LONGEST_LINE:
                raise UnavailableError(self.server, "a line of the watch is longer than 16 MiB")
            more = await self._more()
            if not more:
                return None
            self._buffer += more
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return self.judge(line)

    async def rest(self) -> bytes:
        """All of it."""
        content = bytearray()
        while more := await self._more():
            content += more
            if len(content) > _LONGEST_ANSWER:
                raise UnavailableError(self.server, "the answer is longer than 256 MiB")
        return bytes(content)

    def judge(self, content: bytes) -> dict[str, Any]:
        """The JSON object in it."""
        return _object(self.server, content)

    def close(self) -> None:
        """Also closes its connection, unless the answer was read to its end."""
        self._response.close()

    async def _more(self) -> bytes:
        try:
            return await self._response.content.readany()
        except aiohttp.ClientError as error:
            raise UnavailableError(self.server, no_answer(error)) from None


def error_of(server: str, status: Mapping[str, Any], code: int = 0, retry_after: float = 0.0) -> KubernetesError:
    """The error that an object of kind Status means, in an answer or in a watch."""
    code = code or (status["code"] if isinstance(status.get("code"), int) else 0)
    said = " ".join(str(status.get("message", "")).split())[:_SHOWN]
    reason = f"{code} {said}".strip()
    match code:
        case 410:
            return ExpiredError(server, reason)
        case 401:
            return RefusedError(server, code, f"{reason}: the token or certificate is not accepted")
        case _ if code == 429 or code >= 500 or code < 400:
            return UnavailableError(server, reason or "it does not answer as Kubernetes does", retry_after)
    return RefusedError(server, code, reason)


def _refusal(server: str, response: aiohttp.ClientResponse, content: bytes) -> KubernetesError:
    try:
        status = _object(server, content)
    except UnavailableError:
        status = {}
    said = response.headers.get("Retry-After", "")
    return error_of(server, status, response.status, float(said) if said.isdecimal() and len(said) < 6 else 0.0)


def _object(server: str, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UnavailableError(server, "it does not answer as Kubernetes does")
    return found


def _watched(address: AddrInfoType) -> socket.socket:
    """A socket that notices when its peer is gone without a word."""
    family, kind, protocol, *_ = address
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
    return sock
