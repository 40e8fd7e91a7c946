"""What the Kerberos checks of one process tell those of the next, as JSON has it. Times are monotonic seconds.

There are tickets in it: it is never written anywhere.
"""

from __future__ import annotations

from typing import TypedDict


class SignInMemory(TypedDict):
    """A `SignIn`: its ticket-granting ticket, if it has one, and what was refused, when, and with which keytab."""

    credentials: str | None
    issued: int
    signed_in: float
    expires: float
    refused: list[str] | None  # label and detail
    keytab: list[int]
    again: list[float]


class TicketMemory(TypedDict):
    """A pool's service ticket, and of which service in whose name it is."""

    principal: str
    spn: str
    credentials: str
    kvno: int | None
    enctype: int | None
    fetched: float
    expires: float
    skew: float


class VerdictMemory(TypedDict):
    """A `KerberosProbe`: its last verdict (label and detail), and the versions of the key that it has seen."""

    url: str
    judged: bool
    verdict: list[str] | None
    shown: int | None
    let_in: int | None
    binds: bool | None


class PoolMemory(TypedDict):
    """The checks of a pool. `taken` is the last version of the key that a connector took; `probes` are by backend."""

    ticket: TicketMemory | None
    taken: int | None
    probes: dict[str, VerdictMemory]


class Memory(TypedDict):
    """All of it; `sign_ins` are by principal and keytab."""

    sign_ins: dict[str, SignInMemory]
    pools: dict[str, PoolMemory]
