"""Who has the service's key? What each connector of a pool made of the ticket that it was shown last.

One connector that refuses a ticket which another one took has the wrong key. When every connector refuses, the key in
the directory is another than before: the connectors are as they were, and to eject them would help no user. A ticket
that only some have been shown decides nothing yet; those that have not are asked at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from lbproxy.control.log import event
from lbproxy.control.probes.kerberos.failures import Failure, KerberosFailure
from lbproxy.control.probes.kerberos.tokens import TicketKey

log = logging.getLogger(__name__)


class Blame(Enum):
    """Whose fault it is that a connector refuses the key of a fresh ticket."""

    CONNECTOR = "connector"
    DIRECTORY = "directory"
    OPEN = "open"  # not known until others were asked


@dataclass(frozen=True, slots=True)
class _Vote:
    """What one connector said of tickets, the newest fetched at `newest`; `took` is None if it could not be asked."""

    took: bool | None
    newest: float


_NOT_ASKED = _Vote(None, float("-inf"))


class KeyVotes:
    """The votes of the connectors of `pool`.

    `ask` is called with the name of each that should be probed at once. `trouble` is the directory's, None if there is
    none, and `since` (monotonic) is since when. `taken` is the last version of the key that any connector took.
    """

    def __init__(self, pool: str) -> None:
        self.trouble: KerberosFailure | None = None
        self.since = time.monotonic()
        self.taken: int | None = None
        self._taken_enctype: int | None = None  # of the same key; not known after a reload
        self.ask: Callable[[str], None] = lambda name: None
        self._pool = pool
        self._votes: dict[str, _Vote] = {}
        self._open: dict[str, float] = {}  # who refused a ticket, fetched then, and waits for the others

    def __repr__(self) -> str:
        return f"<key votes of {self._pool}: {self.trouble or self._votes}>"

    def join(self, name: str) -> None:
        """There is a connector of this name."""
        self._votes[name] = _NOT_ASKED

    def leave(self, name: str) -> None:
        """It is gone: its answer is not waited for."""
        self._votes.pop(name, None)
        self._open.pop(name, None)
        self._settle()

    def took(self, name: str, key: TicketKey, fetched: float) -> None:
        """It took a ticket."""
        self._votes[name] = _Vote(True, fetched)
        self._open.pop(name, None)
        self.taken, self._taken_enctype = key.kvno, key.enctype
        self._note(None)
        self._settle()

    def silent(self, name: str) -> None:
        """It could not be asked, or has another trouble: it has no say in this."""
        self._votes[name] = _Vote(None, time.monotonic())
        self._open.pop(name, None)
        self._settle()

    def refused(self, name: str, key: TicketKey, since: float, newest: float) -> Blame:
        """It refused tickets that were fetched at `since` and at `newest`, which may be one; the latter is of `key`.

        What it is blamed for is the older one: the newer may be another than all that others have been shown.
        """
        self._votes[name] = _Vote(False, newest)
        blame = self._blame(name, since)
        if blame is Blame.OPEN:
            self._open[name] = since
            for other, vote in self._votes.items():
                if other != name and vote.newest < since:
                    self.ask(other)
            return blame
        self._open.pop(name, None)
        if blame is Blame.DIRECTORY:
            self._note(KerberosFailure(Failure.SPN_KEY, self._detail(key)))
        self._settle()
        return blame

    def _blame(self, name: str, since: float) -> Blame:
        others = [vote for other, vote in self._votes.items() if other != name]
        if any(vote.took and vote.newest >= since for vote in others):
            return Blame.CONNECTOR
        if any(vote.newest < since for vote in others):
            return Blame.OPEN
        return Blame.DIRECTORY if any(vote.took is False for vote in others) else Blame.CONNECTOR

    def _settle(self) -> None:
        """Ask those again for whom it is not open any more."""
        for name, since in list(self._open.items()):
            if self._blame(name, since) is not Blame.OPEN:
                del self._open[name]
                self.ask(name)

    def _detail(self, key: TicketKey) -> str:
        text = f"all connectors refuse tickets of {key}" if str(key) else "all connectors refuse its tickets"
        if self.taken is None or key.kvno is None:
            return text
        if self.taken != key.kvno:
            return f"{text}; before it was {self.taken}"
        before = TicketKey(None, self._taken_enctype)  # its name alone, if it is known
        return f"{text}; before it was {'the same' if before.enctype in (None, key.enctype) else before}"

    def _note(self, trouble: KerberosFailure | None) -> None:
        """Remember it, and log it when it is another than before."""
        before, self.trouble = self.trouble, trouble
        if (before is None) is (trouble is None):
            return
        self.since = time.monotonic()
        if trouble is None:
            event(log, logging.INFO, "kerberos_trouble_over", pool=self._pool)
        else:
            event(log, logging.ERROR, "kerberos_trouble", pool=self._pool, reason=trouble.failure.label,
                  detail=str(trouble))  # fmt: skip
