"""The ticket that a pool's probes use now, and what keeps them from a newer one.

The KDC is asked once for a whole pool, in a thread, at most one at a time: a KDC that hangs holds up nobody but that
thread. While it is away the last ticket goes on being used, for hours as a rule. The KDC has a time of its own, which
has nothing to do with the connectors': where the first of several KDCs is dead, the library tries the next one after a
second, and where it hangs after ten.
"""

from __future__ import annotations

import asyncio
import logging
import time
from base64 import b64encode
from typing import TYPE_CHECKING

from lbproxy.control.log import event
from lbproxy.control.probes.kerberos.failures import Failure, KerberosFailure
from lbproxy.control.probes.kerberos.memory import TicketMemory
from lbproxy.control.probes.kerberos.votes import KeyVotes
from lbproxy.control.snapshot import TicketView
from lbproxy.control.threads import Threads

if TYPE_CHECKING:  # it needs an optional dependency, and the caller has it
    from lbproxy.control.probes.kerberos.credentials import Handshake, Login, Ticket

log = logging.getLogger(__name__)

REFRESH = 60.0  # seconds: a newly rotated key is met that soon, and trouble with the KDC noticed
RETRY = 5.0  # seconds from one question to the next while there is trouble; `Backoff` decides what reaches a KDC
PATIENCE = 45.0
"""Seconds after which KDCs that have not answered count as unreachable.

MIT's library waits 10 s for a KDC that takes the connection and says nothing before it asks the next one. A first
ticket takes three questions where the KDC asks for pre-authentication, as Active Directory does, else two: where the
first of two KDCs hangs, it takes 30 s.
"""

SHORT = 0.5  # seconds that a probe waits for a ticket while there is trouble that it knows of
FRESH = 1.0  # seconds within which a ticket counts as made now; also the least time between two questions to the KDC
THREADS = 4  # one waits for the KDC, the others make tokens


class Tickets:
    """The tickets of `pool`, from `login`. No probe waits for the KDC longer than `patience` seconds.

    `trouble` is why the last attempt to get one failed, None if it did not; `since` (monotonic) is since when. `votes`
    are what the connectors make of them.
    """

    def __init__(
        self, pool: str, login: Login, patience: float = PATIENCE, refresh: float = REFRESH, fresh: float = FRESH
    ) -> None:
        self.votes = KeyVotes(pool)
        self.trouble: KerberosFailure | None = None
        self.since = time.monotonic()
        self._pool = pool
        self._login = login
        self._patience = patience
        self._refresh = refresh
        self._fresh = fresh
        self._threads = Threads(THREADS, f"kerberos {pool}")
        self._ticket: Ticket | None = None
        self._question: asyncio.Future[Ticket] | None = None  # under way
        self._asked = float("-inf")  # when the last one began

    def __repr__(self) -> str:
        return f"<tickets of {self._pool} by {self._login!r}: {self.trouble or 'no trouble'}>"

    def view(self) -> TicketView:
        """For the snapshot: what keeps users from signing in, else what keeps the probes from new tickets."""
        trouble, since = (self.votes.trouble, self.votes.since) if self.votes.trouble else (self.trouble, self.since)
        return {
            "reason": None if trouble is None else trouble.failure.label,
            "reason_text": None if trouble is None else trouble.failure.text,
            "detail": "" if trouble is None else trouble.detail,
            "since_seconds": time.monotonic() - since,
        }

    @property
    def kvno(self) -> int | None:
        """The version of the service's key in the ticket at hand, if there is one and it says."""
        return None if self._ticket is None else self._ticket.kvno

    def memory(self) -> TicketMemory | None:
        """The ticket at hand, for the next process."""
        return self._login.memory(self._ticket) if self._ticket is not None and self._usable() else None

    def remember(self, memory: TicketMemory) -> None:
        """Use the ticket of the process before this one, and have its trouble."""
        ticket = self._login.recall(memory)
        if ticket is not None:
            self._ticket, self.trouble = ticket, ticket.trouble

    async def get(self) -> Ticket:
        """A ticket to use now. Raises KerberosFailure when there is none."""
        if time.monotonic() >= self._due():
            self._ask()
        if not self._usable():
            await self._wait()
        elif self._question is not None and self._patience_left() <= 0:
            self._note_hanging()
        return self._checked()

    async def newer(self, than: Ticket) -> Ticket:
        """A ticket made now, after a connector refused `than`, which is returned if it is that itself.

        Raises KerberosFailure when the KDC gives none.
        """
        if self._ticket is than and time.monotonic() - than.fetched > self._fresh:
            self._ask()
            await self._wait()
            if self._ticket is than and self.trouble is not None:
                raise self.trouble.copy()
        return self._checked()

    async def handshake(self, ticket: Ticket) -> Handshake:
        """A fresh token for `ticket`. Raises KerberosFailure when it cannot be made any more."""
        try:
            return await asyncio.wait_for(self._threads.run(ticket.initiate), self._patience)
        except TimeoutError:
            failure = KerberosFailure(Failure.KDC_UNREACHABLE, f"no token within {self._patience:g} s")
        except KerberosFailure as refused:
            failure = refused
        if self._ticket is ticket:
            self._ticket = None
        raise failure

    async def authorization(self) -> str:
        """The value of an Authorization header with a fresh token. Raises KerberosFailure when there is no ticket."""
        handshake = await self.handshake(await self.get())
        return f"Negotiate {b64encode(handshake.token).decode()}"

    def _due(self) -> float:
        """When to ask for the next ticket: well before this one expires."""
        if self._ticket is None:
            return 0.0
        if self.trouble is not None:
            return self._asked + RETRY
        return self._ticket.fetched + min(self._refresh, (self._ticket.expires - self._ticket.fetched) / 2)

    def _usable(self) -> bool:
        return self._ticket is not None and time.monotonic() < self._ticket.expires

    def _checked(self) -> Ticket:
        if self._ticket is None or not self._usable():
            raise self.trouble.copy() if self.trouble else KerberosFailure(Failure.KDC_REFUSED, "there is no ticket")
        return self._ticket

    def _ask(self) -> None:
        """Begin to fetch a ticket, unless that is under way or was tried just now."""
        if self._question is None and time.monotonic() - self._asked > self._fresh:
            self._asked = time.monotonic()
            self._question = self._threads.run(self._login.fetch)
            self._question.add_done_callback(self._answered)

    async def _wait(self) -> None:
        """Until the question that is under way is answered, or has been for as long as probes wait."""
        if self._question is None:
            return
        if (left := self._patience_left()) > 0:
            await asyncio.wait({self._question}, timeout=left if self.trouble is None else min(left, SHORT))
        if self._question is not None and self._patience_left() <= 0:
            self._note_hanging()

    def _patience_left(self) -> float:
        return self._asked + self._patience - time.monotonic()

    def _answered(self, question: asyncio.Future[Ticket]) -> None:
        self._question = None
        try:
            self._ticket = question.result()
        except KerberosFailure as failure:
            self._note(failure.copy())
        else:
            self._note(self._ticket.trouble)

    def _note_hanging(self) -> None:
        self._note(KerberosFailure(Failure.KDC_UNREACHABLE, f"no answer within {self._patience:g} s"))

    def _note(self, trouble: KerberosFailure | None) -> None:
        """Remember it, and log it when it is another than before."""
        before, self.trouble = self.trouble, trouble
        if (before and before.failure) is (trouble and trouble.failure):
            return
        self.since = time.monotonic()
        if trouble is None:
            event(log, logging.INFO, "kerberos_trouble_over", pool=self._pool)
        else:
            reason = trouble.failure.label
            event(log, logging.WARNING, "kerberos_trouble", pool=self._pool, reason=reason, detail=str(trouble))
