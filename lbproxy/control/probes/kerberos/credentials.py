"""From a sign-in to tickets, and from tickets to tokens. Everything here may block for as long as the KDC likes.

Importing this module raises MissingExtraError where gssapi is not installed.

The ticket-granting ticket of `SignIn` is copied into one of two credential caches in memory, where the service ticket
is fetched: a cache would hand out the ticket that it has, and the point is to see what the KDC gives to users now.
"""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from dataclasses import dataclass

from lbproxy.control.probes.kerberos import gss
from lbproxy.control.probes.kerberos.backoff import LONGEST, LONGEST_SILENCE, Backoff
from lbproxy.control.probes.kerberos.failures import Failure, KerberosFailure, clock_difference
from lbproxy.control.probes.kerberos.gss import GSSError, gssapi
from lbproxy.control.probes.kerberos.memory import TicketMemory
from lbproxy.control.probes.kerberos.sign_in import SignIn, new_cache
from lbproxy.control.probes.kerberos.tokens import TicketKey, ticket_key

_FAILURES = {
    **gss.FAILURES,
    7: Failure.SPN_UNKNOWN,  # KDC_ERR_S_PRINCIPAL_UNKNOWN; Samba's for an SPN on two accounts too
    8: Failure.SPN_DUPLICATE,  # KDC_ERR_PRINCIPAL_NOT_UNIQUE, from Windows
    18: Failure.ACCOUNT_REVOKED,  # KDC_ERR_CLIENT_REVOKED: since the sign-in
}

_SKEW_KNOWN = 60.0  # seconds; clocks that are closer than this are no reason for a refusal


class Handshake:
    """One exchange with a connector: `token` to send, then the connector's answer to `verify`."""

    def __init__(self, context: gssapi.SecurityContext, token: bytes) -> None:
        self.token = token
        self._context = context

    def verify(self, reply: bytes) -> None:
        """Raises KerberosFailure unless `reply` proves that the connector has the service's key (RFC 4559 section 5).

        This does not block.
        """
        try:
            self._context.step(reply)
            complete = self._context.complete
        except GSSError as error:
            raise KerberosFailure(Failure.MUTUAL_WRONG, gss.text(error)) from None
        if not complete:
            raise KerberosFailure(Failure.MUTUAL_WRONG, "the exchange is not complete")


@dataclass(frozen=True, slots=True)
class Ticket:
    """A service ticket, good for any number of handshakes.

    `key` is the service's key that it is made with. `fetched` and `expires` are monotonic seconds; the KDC's clock is
    `skew` seconds ahead of this machine's. `trouble`: the sign-in that it was had with could not be renewed.
    """

    service: gssapi.Name
    cache: str
    key: TicketKey
    fetched: float
    expires: float
    skew: float
    exported: bytes = b""
    trouble: KerberosFailure | None = None

    @property
    def kvno(self) -> int | None:
        """The version of the service's key."""
        return self.key.kvno

    def initiate(self) -> Handshake:
        """A fresh token, in SPNEGO as browsers send it. Raises KerberosFailure when the ticket has become useless."""
        try:
            context = gss.context(self.cache, self.service, gss.SPNEGO, gss.MUTUAL)
            return Handshake(context, context.step() or b"")
        except GSSError as error:
            raise gss.failure(error, _FAILURES) from None


class Login:
    """Fetches tickets for `spn`, as in HTTP@login.corp.example, with what `sign_in` has. One thread at a time."""

    def __init__(self, sign_in: SignIn, spn: str) -> None:
        self.spn = spn
        self.sign_in = sign_in
        service, _, host = spn.partition("@")
        # A name of the type for host-based services would be canonicalised through DNS, if krb5.conf says so. An empty
        # realm is the client's own, or where its KDC refers to (RFC 6806 section 8).
        self._service = gssapi.Name(f"{service}/{host}@", gss.PRINCIPAL)
        self._next_cache, self._used_cache = new_cache(), new_cache()
        self._backoff = Backoff(sign_in.retry)
        self._refusal: KerberosFailure | None = None

    def __repr__(self) -> str:
        return f"<login {self.sign_in.principal} for {self.spn}>"

    def fetch(self) -> Ticket:
        """A service ticket made now. Raises KerberosFailure."""
        credentials = self.sign_in.credentials()
        if self._refusal is not None and time.monotonic() < self._backoff.again:
            raise self._refusal.copy()
        try:
            ticket = self._ask(credentials, self._service)
        except GSSError as error:
            self._refusal = self._no_ticket(error, credentials)
            silent = self._refusal.failure is Failure.KDC_UNREACHABLE
            self._backoff.failed(time.monotonic(), LONGEST_SILENCE if silent else LONGEST)
            raise self._refusal.copy() from None
        self._refusal = None
        self._backoff.over()
        # The ticket before this one stays good: handshakes with it may be under way.
        self._next_cache, self._used_cache = self._used_cache, self._next_cache
        return ticket

    def _ask(self, credentials: gssapi.Credentials, service: gssapi.Name) -> Ticket:
        cache, fetched = self._next_cache, time.monotonic()
        gss.store(credentials, cache)
        context = gss.context(cache, service, gss.KRB5, gss.PLAIN)
        token = context.step() or b""
        expires = fetched + context.lifetime
        exported = gss.credentials(cache).export()
        trouble = self.sign_in.trouble
        return Ticket(service, cache, ticket_key(token), fetched, expires, self.sign_in.skew, exported, trouble)

    def memory(self, ticket: Ticket) -> TicketMemory:
        """`ticket` for the next process. This does not block."""
        return {
            "principal": self.sign_in.principal,
            "spn": self.spn,
            "credentials": b64encode(ticket.exported).decode(),
            "kvno": ticket.key.kvno,
            "enctype": ticket.key.enctype,
            "fetched": ticket.fetched,
            "expires": ticket.expires,
            "skew": ticket.skew,
        }

    def recall(self, memory: TicketMemory) -> Ticket | None:
        """The ticket of the process before this one, if it is one for the same. This does not block."""
        if (memory["principal"], memory["spn"]) != (self.sign_in.principal, self.spn):
            return None
        exported, cache = b64decode(memory["credentials"]), self._next_cache
        gss.store(gssapi.Credentials(token=exported), cache)
        self._next_cache, self._used_cache = self._used_cache, cache
        key = TicketKey(memory["kvno"], memory["enctype"])
        times = memory["fetched"], memory["expires"], memory["skew"]
        return Ticket(self._service, cache, key, *times, exported, self.sign_in.trouble)

    def _no_ticket(self, error: GSSError, credentials: gssapi.Credentials) -> KerberosFailure:
        skew, failure = self.sign_in.skew, gss.failure(error, _FAILURES)
        if failure.failure is Failure.SPN_UNKNOWN:
            return self._before_the_last_resort(credentials) or failure
        if failure.failure is Failure.KDC_SKEW and abs(skew) > _SKEW_KNOWN:
            return KerberosFailure(Failure.KDC_SKEW, f"the KDC's is {clock_difference(skew)} this machine's")
        return failure

    def _before_the_last_resort(self, credentials: gssapi.Credentials) -> KerberosFailure | None:
        """What the client's own realm says of the SPN; None if it gives a ticket.

        When it refuses, whatever the reason, MIT's library asks for the realm that the host's name suggests, as in TEST
        for login.test. If there is none, it reports "unknown", about that realm, and the real reason is lost.
        """
        realm = str(credentials.name).rpartition("@")[2]
        try:
            self._ask(credentials, gssapi.Name(f"{self._service}{realm}", gss.PRINCIPAL))
        except GSSError as error:
            return gss.failure(error, _FAILURES)
        return None
