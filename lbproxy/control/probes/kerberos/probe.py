"""The kerberos probe of one connector: ticket, token, request, proof; and what can be asked without a ticket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import aiohttp

from lbproxy.control.probes import ProbeResult
from lbproxy.control.probes.kerberos.binding import KeptConnection, keeps_user
from lbproxy.control.probes.kerberos.exchange import Page, check_anonymous, request, sign_in
from lbproxy.control.probes.kerberos.failures import Failure, KerberosFailure
from lbproxy.control.probes.kerberos.memory import VerdictMemory
from lbproxy.control.probes.kerberos.tickets import Tickets
from lbproxy.control.probes.kerberos.votes import Blame

if TYPE_CHECKING:  # it needs an optional dependency, and the caller has it
    from lbproxy.control.probes.kerberos.credentials import Ticket

BINDING_INTERVAL = 600.0  # seconds from one look at `binds` to the next

_REFUSALS = frozenset({Failure.KEY, Failure.SKEW, Failure.REFUSED})
"""Perhaps it is our ticket that is old: judged by a new one."""

_SIGN_IN_ONLY = _REFUSALS | {Failure.NO_NEGOTIATE, Failure.MUTUAL_MISSING, Failure.MUTUAL_WRONG}
"""What a request without a token cannot find to be mended."""


class _KeyRefused(KerberosFailure):
    """A connector refused `ticket`, and perhaps one before it: they were fetched at `since` and later."""

    def __init__(self, failure: KerberosFailure, ticket: Ticket, since: float) -> None:
        super().__init__(failure.failure, failure.detail)
        self.ticket = ticket
        self.since = since


class KerberosProbe:
    """Signs in at `page` with one of the pool's `tickets`; the connector has `timeout` seconds in all to answer.

    What the KDC takes is not counted against the connector; `Tickets` limits that. `binds` is whether the connector
    keeps the user on the connection, None while that is not known. `greeting` is that of `session`.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        page: Page,
        tickets: Tickets,
        timeout: float,
        greeting: bytes = b"",
        name: str = "",
    ) -> None:
        """name: the backend's, which is its page's URL if there is none."""
        self.binds: bool | None = None
        self._name = name or page.url
        self._votes = tickets.votes
        self._votes.join(self._name)
        self._session = session
        self._page = page
        self._tickets = tickets
        self._timeout = timeout
        self._greeting = greeting
        self._judged = False  # it has let the probe in, or is known to be without blame
        self._verdict: KerberosFailure | None = None  # what the last sign-in found wrong with the connector
        self._shown: int | None = None  # the version of the key in the last ticket that the connector was shown ...
        self._let_in: int | None = None  # ... and in the last one that it took
        self._look_at_binding = time.monotonic()

    def __repr__(self) -> str:
        return f"<kerberos probe of {self._page.url}>"

    @property
    def kvno(self) -> int | None:
        """The newest version of the service's key that the connector is known to have.

        None while that is not known, as before it has been shown a ticket of the version that the KDC gives out now.
        """
        return self._let_in if self._shown == self._tickets.kvno else None

    def memory(self) -> VerdictMemory:
        """What it knows, for the probe of the next process."""
        return {
            "url": self._page.url,
            "judged": self._judged,
            "verdict": None if self._verdict is None else self._verdict.told(),
            "shown": self._shown,
            "let_in": self._let_in,
            "binds": self.binds,
        }

    def remember(self, memory: VerdictMemory) -> None:
        """Go on where that was, if it was about the same page."""
        if memory["url"] == self._page.url:
            self._judged, self._verdict = memory["judged"], KerberosFailure.heard(memory["verdict"])
            self._shown, self._let_in, self.binds = memory["shown"], memory["let_in"], memory["binds"]

    async def run(self) -> ProbeResult:
        """Probe once; see `Probe`. A result may be good and have a reason: what kept the probe from signing in."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout) as limit:
                ok, detail, reason = True, *await self._probe(limit)
        except TimeoutError:
            ok, detail, reason = self._bad(KerberosFailure(Failure.HUNG, f"no answer within {self._timeout:g} s"))
        except KerberosFailure as failure:
            ok, detail, reason = self._bad(failure)
        return ProbeResult(ok, detail, time.perf_counter() - started, reason)

    def _bad(self, failure: KerberosFailure) -> tuple[bool, str, str]:
        self._look_at_binding = 0.0  # it may come back as another
        if failure.failure is not Failure.KEY:
            self._votes.silent(self._name)
        return False, str(failure), failure.failure.label

    async def _probe(self, limit: asyncio.Timeout) -> tuple[str, str | None]:
        """The detail and reason of a good result. Raises KerberosFailure for a bad one: the connector is to blame."""
        try:
            detail = await self._sign_in(limit)
        except _KeyRefused as refused:
            return self._key_refused(refused)
        except KerberosFailure as failure:
            if not failure.failure.blames:
                return await self._without_ticket(failure), failure.failure.label
            if failure.failure in _SIGN_IN_ONLY:
                self._verdict = failure.copy()
            raise
        self._judged, self._verdict = True, None
        return detail, None

    def _key_refused(self, refused: _KeyRefused) -> tuple[str, str]:
        """It is to blame if another connector took such a ticket. Until the others were asked it is as it was."""
        blame = self._votes.refused(self._name, refused.ticket.key, refused.since, refused.ticket.fetched)
        if blame is Blame.DIRECTORY and self._votes.trouble is not None:
            self._judged, self._verdict = True, None
            return str(self._votes.trouble), self._votes.trouble.failure.label
        if blame is Blame.OPEN and self._judged and self._verdict is None:
            return f"{refused}; the other connectors are asked", refused.failure.label
        self._verdict = refused.copy()
        raise self._verdict.copy()

    async def _sign_in(self, limit: asyncio.Timeout) -> str:
        with _paused(limit):
            ticket = await self._tickets.get()
        try:
            return await self._present(ticket, limit)
        except KerberosFailure as refusal:
            if refusal.failure not in _REFUSALS:
                raise
            with _paused(limit):
                newer = await self._tickets.newer(ticket)
            if newer is ticket:
                raise _told_apart(refusal, ticket, ticket.fetched) from None
        try:
            return await self._present(newer, limit)
        except KerberosFailure as refusal:
            raise _told_apart(refusal, newer, ticket.fetched) from None

    async def _present(self, ticket: Ticket, limit: asyncio.Timeout) -> str:
        """Sign in with `ticket`, and look at `binds` when it is time to; the detail of a success."""
        with _paused(limit):
            handshake = await self._tickets.handshake(ticket)
        self._shown = ticket.kvno
        if time.monotonic() < self._look_at_binding:
            response = await sign_in(self._session, self._page, handshake, ticket)
            response.close()
        else:
            async with KeptConnection(self._greeting) as connection:
                response = await sign_in(connection.session, self._page, handshake, ticket)
                await self._look(connection, response, limit)
        self._let_in = ticket.kvno
        self._votes.took(self._name, ticket.key, ticket.fetched)
        return f"{response.status}, signed in"

    async def _look(
        self, connection: KeptConnection, signed_in: aiohttp.ClientResponse, limit: asyncio.Timeout
    ) -> None:
        """Renew `binds` in the time that is left. The sign-in was good whatever happens here."""
        end = limit.when()
        limit.reschedule(None)
        self._look_at_binding = time.monotonic() + BINDING_INTERVAL
        try:
            async with asyncio.timeout_at(end):
                self.binds = await keeps_user(connection, signed_in, self._page, self._session)
        except (TimeoutError, KerberosFailure, aiohttp.ClientError):
            self.binds = None

    async def _without_ticket(self, trouble: KerberosFailure) -> str:
        """What is left to check: that the connector answers. The detail of a success."""
        response = await request(self._session, self._page)
        response.close()
        check_anonymous(self._page, response)
        if self._verdict is not None:
            raise self._verdict.copy()
        return f"{response.status}, not signed in: {trouble}"


def _told_apart(refusal: KerberosFailure, ticket: Ticket, since: float) -> KerberosFailure:
    return _KeyRefused(refusal, ticket, since) if refusal.failure is Failure.KEY else refusal


@contextmanager
def _paused(limit: asyncio.Timeout) -> Iterator[None]:
    """Lets the connector's time stand still while it is the KDC that is waited for."""
    clock = asyncio.get_running_loop().time
    end, began = limit.when(), clock()
    assert end is not None
    limit.reschedule(None)
    try:
        yield
    finally:
        limit.reschedule(end + clock() - began)
