"""One call, or one stream, of etcd's JSON gateway: which endpoint, for how long, under which name."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from lbproxy.control.etcd import errors
from lbproxy.control.etcd.errors import EtcdRefusedError, EtcdUnavailableError
from lbproxy.control.etcd.values import Message
from lbproxy.control.probes.attempt import no_answer

DEADLINE = 5.0
"""Seconds that a call may take, whatever happens."""

ATTEMPT = 2.0
"""Seconds for one endpoint, of a call that may be sent to another one after it; less if the call has few of them."""

_PAUSE = 0.1  # seconds between two rounds over the endpoints
_LONGEST_LINE = 64 * 1024 * 1024  # bytes; an event has a value, and etcd takes 1.5 MiB at most
_STALE_TOKENS = ("invalid auth token", "user name is empty", "revision of auth store is old")


@dataclass(frozen=True, slots=True)
class Access:
    """Where etcd is, and under which name it is asked: URLs without a path, all of one cluster.

    `tls` is for https endpoints. With a `user`, its `password` is exchanged for a token, anew when that expires.
    """

    endpoints: tuple[str, ...]
    tls: ssl.SSLContext | None = None
    user: str = ""
    password: str = field(default="", repr=False)


class Stream:
    """The messages of an answer that does not end; `endpoint` sends them."""

    def __init__(self, endpoint: str, response: aiohttp.ClientResponse) -> None:
        self.endpoint = endpoint
        self._response = response
        self._buffer = bytearray()

    def __repr__(self) -> str:
        return f"<stream of {self.endpoint}>"

    async def message(self) -> Message:
        """The next one. May be cancelled and called again. Raises EtcdError when the stream ends or says so."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LONGEST_LINE:
                raise EtcdUnavailableError(self.endpoint, "a message is longer than 64 MiB")
            try:
                more = await self._response.content.readany()
            except aiohttp.ClientError as error:
                raise EtcdUnavailableError(self.endpoint, no_answer(error)) from None
            if not more:
                raise EtcdUnavailableError(self.endpoint, "the stream has ended")
            self._buffer += more
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        told = _object(self.endpoint, line)
        if "error" in told:
            raise _complaint(self.endpoint, told["error"])
        result = told.get("result")
        return result if isinstance(result, dict) else {}

    def close(self) -> None:
        """Also closes its connection."""
        self._response.close()


class Gateway:
    """Calls of one cluster. The endpoint that answered last is asked first, and the others when it does not."""

    def __init__(self, access: Access) -> None:
        """Call it on the running loop, and `close` it at the end."""
        self._access = access
        self._at = 0
        self._token = ""
        self._signing_in = asyncio.Lock()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=access.tls or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),  # none: each call has its own
        )

    def __repr__(self) -> str:
        return f"<gateway to {self.endpoint}, of {len(self._access.endpoints)}>"

    @property
    def endpoint(self) -> str:
        """The one that is asked first."""
        return self._access.endpoints[self._at]

    async def close(self) -> None:
        """Close every connection."""
        await self._session.close()

    async def call(self, path: str, body: Message, *, repeatable: bool, within: float = DEADLINE) -> Message:
        """The answer to `body`, POSTed to `path` of the first endpoint that answers. Raises EtcdError.

        repeatable: it may be carried out twice. Otherwise it is sent again only if no endpoint can have received it.
        within: seconds for all of it.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        # So there is time for every other endpoint when one says nothing: a host that has died closes no connection.
        attempt = min(ATTEMPT, within / (len(self._access.endpoints) + 1)) if repeatable else within
        while True:
            for _ in self._access.endpoints:
                left = deadline - loop.time()
                try:
                    return await self.call_at(self.endpoint, path, body, min(left, attempt))
                except EtcdUnavailableError as error:
                    self.avoid(error.endpoint)
                    if (error.maybe_done and not repeatable) or loop.time() + _PAUSE >= deadline:
                        raise
            await asyncio.sleep(random.uniform(_PAUSE / 2, _PAUSE))

    async def call_at(self, endpoint: str, path: str, body: Message, within: float) -> Message:
        """The same at this endpoint only, once; `within` seconds."""
        try:
            async with asyncio.timeout(within):
                async with await self._post(endpoint, path, body) as response:
                    content = await response.read()
                return _object(endpoint, content)
        except TimeoutError:
            raise EtcdUnavailableError(endpoint, f"no answer within {within:.1f} s", maybe_done=True) from None
        except aiohttp.ClientError as error:
            raise _unanswered(endpoint, error) from None

    async def open(self, path: str, body: Message, within: float = ATTEMPT) -> Stream:
        """A stream of the endpoint that is asked first, to be closed; `within` seconds until it begins."""
        endpoint = self.endpoint
        try:
            async with asyncio.timeout(within):
                return Stream(endpoint, await self._post(endpoint, path, body))
        except TimeoutError:
            raise EtcdUnavailableError(endpoint, f"no answer within {within:.1f} s") from None
        except aiohttp.ClientError as error:
            raise _unanswered(endpoint, error) from None

    def avoid(self, endpoint: str) -> None:
        """Ask another one first, unless that is so already."""
        if self.endpoint == endpoint:
            self._at = (self._at + 1) % len(self._access.endpoints)

    async def _post(self, endpoint: str, path: str, body: Message) -> aiohttp.ClientResponse:
        """An answer of status 200, to be read or closed; a token that etcd does not know any more is replaced once."""
        for renewed in (False, True):
            token = await self._sign_in(endpoint)
            headers = {"Authorization": token} if token else {}
            # A member that was cut off from its leader says so instead of being silent (etcd's WithRequireLeader).
            headers["Grpc-Metadata-hasleader"] = "true"
            response = await self._session.post(f"{endpoint}{path}", json=body, headers=headers, allow_redirects=False)
            if response.status == 200:
                return response
            refusal = await _refusal(endpoint, response)
            stale = isinstance(refusal, EtcdRefusedError) and refusal.reason.endswith(_STALE_TOKENS)
            if renewed or not stale or not self._access.user:
                raise refusal
            if self._token == token:
                self._token = ""
        raise AssertionError("the second refusal is raised")

    async def _sign_in(self, endpoint: str) -> str:
        """The token that is valid, as far as is known; "" without a user."""
        if not self._access.user or self._token:
            return self._token
        async with self._signing_in:
            if self._token:  # another call was first
                return self._token
            body = {"name": self._access.user, "password": self._access.password}
            url = f"{endpoint}/v3/auth/authenticate"
            response = await self._session.post(url, json=body, allow_redirects=False)
            if response.status != 200:
                raise await _refusal(endpoint, response)
            async with response:
                token = _object(endpoint, await response.read()).get("token")
            if not isinstance(token, str):
                raise EtcdUnavailableError(endpoint, "it does not answer as etcd does")
            self._token = token
            return token


def _unanswered(endpoint: str, error: aiohttp.ClientError) -> EtcdUnavailableError:
    # A request goes out only once there is a connection.
    sent = not isinstance(error, aiohttp.ClientConnectorError)
    return EtcdUnavailableError(endpoint, no_answer(error), maybe_done=sent)


async def _refusal(endpoint: str, response: aiohttp.ClientResponse) -> EtcdRefusedError | EtcdUnavailableError:
    """The error in an answer that is not 200."""
    async with response:
        content = await response.read()
    try:
        return _complaint(endpoint, _object(endpoint, content))
    except EtcdUnavailableError:
        return EtcdUnavailableError(endpoint, f"it answers {response.status}, not as etcd does", maybe_done=True)


def _object(endpoint: str, content: bytes) -> dict[str, Any]:
    try:
        told = json.loads(content)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise EtcdUnavailableError(endpoint, "it does not answer as etcd does", maybe_done=True)
    return told


def _complaint(endpoint: str, told: object) -> EtcdRefusedError | EtcdUnavailableError:
    """etcd's error, as the body of an answer or in a stream; the names of its fields differ."""
    fields = told if isinstance(told, dict) else {}
    reason = str(fields.get("message", "it does not say why")).removeprefix("etcdserver: ")
    code = fields.get("code", fields.get("grpc_code", 0))
    if code == errors.UNAVAILABLE or (code == errors.RESOURCE_EXHAUSTED and "too many requests" in reason):
        # What was asked for with `hasleader` is not even begun without one.
        return EtcdUnavailableError(endpoint, reason, maybe_done=reason != "no leader")
    return EtcdRefusedError(endpoint, reason, code if isinstance(code, int) else 0)
