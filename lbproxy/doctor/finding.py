"""What a check says: whether something is well, what was found, why it matters, and the command that repairs it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import NamedTuple


class Outcome(StrEnum):
    """Of one finding. UNSEEN: nothing is known, and why is said."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNSEEN = "not seen"


class Finding(NamedTuple):
    """`found`, `why` and `repair` are for the administrator; the last two may be empty if it is ok.

    `subject` is what it is about, such as a backend; empty if it is the whole check's.
    """

    outcome: Outcome
    found: str
    why: str = ""
    repair: str = ""
    subject: str = ""


class UnseenError(Exception):
    """A check cannot see what it should: why, and what would let it see."""

    def __init__(self, reason: str, repair: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.repair = repair

    def finding(self) -> Finding:
        return unseen(self.reason, self.repair)


@contextmanager
def unseen_on(kind: type[Exception], repair: str, before: str = "") -> Iterator[None]:
    """An error of that `kind` is why something cannot be seen; its own words are the reason, behind `before`."""
    try:
        yield
    except kind as error:
        raise UnseenError(f"{before}{error}", repair) from None


Found = Iterable[Finding]


class Check(NamedTuple):
    """One check. `look` either waits or blocks, and then runs in a thread; it may raise UnseenError.

    area: what it belongs to, such as Kerberos. why: why it matters, for findings that say nothing else.
    """

    name: str
    area: str
    why: str
    look: Callable[[], Found | Awaitable[Found]]


def ok(found: str, subject: str = "") -> Finding:
    return Finding(Outcome.OK, found, subject=subject)


def warning(found: str, why: str = "", repair: str = "", subject: str = "") -> Finding:
    return Finding(Outcome.WARNING, found, why, repair, subject)


def problem(found: str, why: str = "", repair: str = "", subject: str = "") -> Finding:
    return Finding(Outcome.PROBLEM, found, why, repair, subject)


def unseen(found: str, repair: str = "", subject: str = "") -> Finding:
    return Finding(Outcome.UNSEEN, found, repair=repair, subject=subject)
