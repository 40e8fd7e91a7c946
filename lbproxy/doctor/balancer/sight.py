"""What the checks of a balancer look at: its configuration, and what several of them need, had once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lbproxy.config import Config, KerberosCheck
from lbproxy.control.admin.client import fetch_status
from lbproxy.control.admin.sockets import Bind
from lbproxy.control.discovery.dns_query import Found as Answer
from lbproxy.control.discovery.dns_query import Resolver
from lbproxy.control.discovery.source import SourceError
from lbproxy.control.probes.kerberos.failures import Failure, KerberosFailure
from lbproxy.control.snapshot import Snapshot
from lbproxy.doctor.finding import UnseenError, unseen_on
from lbproxy.doctor.once import Once, in_thread
from lbproxy.errors import AdminError

if TYPE_CHECKING:  # it needs an optional dependency
    from lbproxy.control.probes.kerberos.credentials import Login
    from lbproxy.control.probes.kerberos.sign_in import SignIn


_SIGN_IN = 6.0  # seconds

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the administrator wants looked at.

    config: as it is in the file at `path`. bind: where the running balancer is asked. keytabs: those of the connectors,
    as far as they are on this host. ldap: the URL of the directory; "" is found by DNS. nameservers: host and port of
    those that are asked, by default this host's.
    """

    config: Config
    path: Path
    bind: Bind
    keytabs: Sequence[Path] = ()
    ldap: str = ""
    nameservers: Sequence[tuple[str, int]] = ()


@dataclass(slots=True)
class Ticket:
    """A ticket for the service: of which key it is, and `token`, which presents it."""

    kvno: int | None
    enctype: int | None
    token: bytes = field(repr=False)


@dataclass(slots=True)
class Kerberos:
    """The sign-in of a pool's probe, and a ticket for its service; each is asked for once, whatever becomes of it.

    Each wrong key counts as a failed sign-in of the account, so nothing is tried a second time.
    """

    pool: str
    table: KerberosCheck
    signed_in: Once[SignIn]
    ticket: Once[Ticket]

    @property
    def realm(self) -> str:
        return self.table.principal.rpartition("@")[2]

    @property
    def service(self) -> str:
        """The SPN as directories have it, as in HTTP/login.corp.example."""
        return self.table.spn.replace("@", "/", 1)


class Sight:
    """See `Asked`; `kerberos` has each pool with a Kerberos check, by its name."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.config = asked.config
        self._status = in_thread(partial(fetch_status, asked.bind))
        self._had: dict[str, Once[Any]] = {}
        self.kerberos = {
            name: _kerberos(name, pool.check.kerberos)
            for name, pool in asked.config.pools.items()
            if pool.check.kind == "kerberos" and pool.check.kerberos is not None
        }

    async def status(self) -> Snapshot:
        """What the running balancer sees. Raises UnseenError."""
        with unseen_on(AdminError, "start lbproxy, or run doctor as the user that runs it"):
            return await self._status.get()

    def once(self, name: str, make: Callable[[], Awaitable[_T]]) -> Once[_T]:
        """What is asked for under this name, by whichever check comes first."""
        return self._had.setdefault(name, Once(make))

    async def resolver(self) -> Resolver:
        """Raises UnseenError."""
        made = Resolver(self.asked.nameservers)
        with unseen_on(SourceError, "name a server in /etc/resolv.conf"):
            await made.prepare()
        return made

    async def ask(self, name: str, kind: str) -> Answer:
        """Records of DNS. Raises UnseenError."""
        resolver = await self.resolver()
        with unseen_on(SourceError, f"dig {kind} {name}; /etc/resolv.conf", "DNS: "):
            return await resolver.ask(name, kind)

    def one_kerberos(self) -> Kerberos:
        """That of the first pool that has one. Raises UnseenError."""
        for one in self.kerberos.values():
            return one
        raise UnseenError(
            "no pool has a Kerberos check, so there is no account to ask the KDC with",
            'set check.kind = "kerberos" in a pool (docs/kerberos.md)',
        )


def _kerberos(name: str, table: KerberosCheck) -> Kerberos:
    signed_in: Once[SignIn] = Once(partial(_signed_in, table))

    async def ticket() -> Ticket:
        try:
            held = await signed_in.get()
        except KerberosFailure as failure:
            raise UnseenError(f"the probe cannot sign in: {failure.failure.text}") from None
        return await asyncio.to_thread(_ticket, held, table.spn)

    return Kerberos(name, table, signed_in, Once(ticket))


async def _signed_in(table: KerberosCheck) -> SignIn:
    """Raises UnseenError if no KDC answers: the library waits for minutes, and cannot be interrupted."""
    try:
        async with asyncio.timeout(_SIGN_IN):
            return await asyncio.to_thread(_sign_in, table)
    except TimeoutError:
        raise UnseenError(f"no KDC has answered within {_SIGN_IN:g} s", "see the check of the KDCs") from None


def _sign_in(table: KerberosCheck) -> SignIn:
    """Raises KerberosFailure and MissingExtraError."""
    from lbproxy.control.probes.kerberos.sign_in import SignIn

    made = SignIn(table.principal, table.keytab)
    made.credentials()
    return made


def _ticket(sign_in: SignIn, spn: str) -> Ticket:
    """Raises KerberosFailure."""
    from lbproxy.control.probes.kerberos import gss
    from lbproxy.control.probes.kerberos.credentials import Login

    login: Login = Login(sign_in, spn)
    found = login.fetch()
    try:
        token = gss.context(found.cache, found.service, gss.KRB5, gss.PLAIN).step() or b""
    except gss.GSSError as error:
        raise gss.failure(error, gss.FAILURES) from None
    return Ticket(found.kvno, found.key.enctype, token)


def remedy(failure: Failure) -> str:
    """What the manual says, as plain text."""
    return failure.remedy.replace("`", "")


async def ticket_of(kerberos: Kerberos) -> Ticket:
    """Raises UnseenError: another check says why there is none."""
    try:
        return await kerberos.ticket.get()
    except KerberosFailure as failure:
        raise UnseenError(f"there is no ticket: {failure.failure.text}") from None
