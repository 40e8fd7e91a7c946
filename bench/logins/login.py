"""One login: a new connection, the first answer, the ticket, further requests, and the end. Each step is timed."""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from bench.logins.users import User
from lbproxy.control.probes.attempt import describe
from lbproxy.control.probes.kerberos.exchange import challenges
from lbproxy.control.probes.kerberos.failures import KerberosFailure

if TYPE_CHECKING:
    from lbproxy.control.probes.kerberos.credentials import Ticket

STEPS = ("connect", "challenge", "ticket", "sign-in", "request", "login")
"""What is timed. `ticket` is this program's own work; `login` is all of them together, from when it was due."""

_MOST = 4 << 20  # bytes of a page that are read
_AGENT = "lbproxy-bench"


@dataclass(frozen=True, slots=True)
class Answer:
    """One that has come: to whom it is, and which instance it is by, is found in it. `body` is text, as UTF-8."""

    status: int
    headers: Mapping[str, str]
    body: str


Reader = Callable[[Answer], str]
"""Finds a text in an answer; "" if it is not there."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a login is: `requests` more after the sign-in, all within `seconds`. `connect` stands for the URL's host."""

    url: URL
    expect: frozenset[int] = frozenset({200})
    requests: int = 0
    seconds: float = 10.0
    connect: tuple[str, int] | None = None
    instance: Reader | None = None
    identity: Reader | None = None


@dataclass(slots=True)
class Login:
    """One login that was tried: when it was due, in seconds since the run began, and how it went.

    `took` has the seconds of each of STEPS, of each request one. `crossed`: it was answered as another user.
    """

    due: float
    user: str
    took: dict[str, list[float]] = field(default_factory=dict)
    instance: str = ""
    connections: int = 0
    failure: str = ""
    crossed: bool = False


class _FailedError(Exception):
    """Its text is the reason, in words that are the same for all that fail alike."""


class _Here(AbstractResolver):
    """Every name is at one address, as with curl's --connect-to."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        found = await aiohttp.ThreadedResolver().resolve(self._host, self._port)
        return [{**each, "hostname": host} for each in found]

    async def close(self) -> None:
        pass


async def log_in(user: User, plan: Plan, due: float, start: float) -> Login:
    """Try one, `due` seconds after `start`, which is monotonic. Every failure is in the result; nothing is raised."""
    login = Login(due, user.name)
    limit = asyncio.timeout(plan.seconds)
    try:
        async with limit, _session(login, plan) as session:
            await _Steps(session, user, plan, login).run()
    except TimeoutError as error:
        login.failure = "no end within the time limit" if limit.expired() else describe(error)
    except (_FailedError, KerberosFailure) as error:
        login.failure = str(error)
    except aiohttp.ClientError as error:
        login.failure = _words(error)
    login.took["login"] = [time.monotonic() - start - due]
    return login


@asynccontextmanager
async def _session(login: Login, plan: Plan) -> AsyncIterator[aiohttp.ClientSession]:
    """One user's browser: one connection at a time, and cookies."""
    trace = aiohttp.TraceConfig()
    began = 0.0

    async def connecting(*_: object) -> None:
        nonlocal began
        began = time.monotonic()

    async def connected(*_: object) -> None:
        login.connections += 1
        login.took.setdefault("connect", []).append(time.monotonic() - began)

    trace.on_connection_create_start.append(connecting)
    trace.on_connection_create_end.append(connected)
    resolver = _Here(*plan.connect) if plan.connect else None
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1, resolver=resolver, use_dns_cache=False),
        cookie_jar=aiohttp.CookieJar(unsafe=True),
        timeout=aiohttp.ClientTimeout(),
        trace_configs=[trace],
        headers={"User-Agent": _AGENT},
        max_field_size=128 * 1024,
    ) as session:
        session._retry_connection = False  # a ticket that is sent twice is a replay; see control/probes/connector
        yield session


class _Steps:
    """The steps of `login`."""

    def __init__(self, session: aiohttp.ClientSession, user: User, plan: Plan, login: Login) -> None:
        self._session, self._user, self._plan, self._login = session, user, plan, login

    async def run(self) -> None:
        """Raises _FailedError, KerberosFailure, aiohttp.ClientError."""
        if self._user.ticket is None:
            await self._ask("sign-in")
        else:
            await self._sign_in(self._user.ticket)
        for _ in range(self._plan.requests):
            await self._ask("request")

    async def _sign_in(self, ticket: Ticket) -> None:
        async with self._timed("challenge"):
            response, _ = await self._get()
        if response.status != 401:
            raise _FailedError(f"{response.status} instead of 401 to the request without a ticket")
        if not challenges(response):
            raise _FailedError("401 does not offer Negotiate")
        await self._ask("sign-in", ticket)

    async def _ask(self, step: str, ticket: Ticket | None = None) -> None:
        """One request, answered as the plan expects it, and for this user.

        A connector that wants a ticket with each request gets one, as from a browser.
        """
        async with self._timed(step):
            response, body = await self._with(ticket) if ticket else await self._get()
            if response.status == 401 and not ticket and self._user.ticket and challenges(response):
                response, body = await self._with(self._user.ticket)
        if response.status not in self._plan.expect:
            raise _FailedError(f"{response.status} to the {'request after it' if step == 'request' else 'sign-in'}")
        self._look(Answer(response.status, response.headers, body))

    async def _with(self, ticket: Ticket) -> tuple[aiohttp.ClientResponse, str]:
        """The answer to a request with `ticket`, and its body; KerberosFailure when its proof is wrong."""
        async with self._timed("ticket"):
            handshake = ticket.initiate()
        response, body = await self._get(f"Negotiate {b64encode(handshake.token).decode()}")
        if proof := response.status != 401 and next((token for token in challenges(response) if token), None):
            handshake.verify(proof)
        return response, body

    def _look(self, answer: Answer) -> None:
        if self._plan.instance:
            self._login.instance = self._plan.instance(answer) or "not told"
        if self._plan.identity and (told := self._plan.identity(answer)) != self._user.name:
            self._login.crossed = bool(told)
            raise _FailedError("answered as another user" if told else "the answer does not tell its user")

    @asynccontextmanager
    async def _timed(self, step: str) -> AsyncIterator[None]:
        """Without what connecting and making tickets took: they are steps of their own."""
        began, before = time.monotonic(), self._apart(step)
        yield
        self._login.took.setdefault(step, []).append(time.monotonic() - began - self._apart(step) + before)

    def _apart(self, step: str) -> float:
        return sum(sum(self._login.took.get(name, ())) for name in ("connect", "ticket") if name != step)

    async def _get(self, authorization: str = "") -> tuple[aiohttp.ClientResponse, str]:
        """The answer, and its whole body."""
        headers = {"Authorization": authorization} if authorization else {}
        context = self._user.context
        where = self._plan.url
        async with self._session.get(where, headers=headers, allow_redirects=False, ssl=context or True) as response:
            return response, await _body(response)


async def _body(response: aiohttp.ClientResponse) -> str:
    """The whole body, so that the connection can be used again. _FailedError if it is too long to be a page."""
    content = bytearray()
    async for part in response.content.iter_any():
        content += part
        if len(content) > _MOST:
            raise _FailedError(f"a body of more than {_MOST >> 20} MB")
    return content.decode("utf-8", "replace")


def _words(error: aiohttp.ClientError) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError(certificate_error=OSError() as cause):
            return f"connect: {describe(cause)}"
        case aiohttp.ClientConnectorError(os_error=cause):
            return f"connect: {describe(cause)}"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed without an answer"
        case aiohttp.ClientPayloadError():
            return "the answer is cut off"
        case OSError():
            return describe(error)
    return "the answer is not HTTP"
