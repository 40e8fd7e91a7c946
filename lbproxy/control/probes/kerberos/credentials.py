"""From a keytab to tokens, by GSS-API. Everything here may block for as long as the KDC likes: call it in a thread.

Importing this module raises MissingExtraError where gssapi is not installed.

There are two kinds of credential caches, all in memory and under fixed names, because MIT krb5 never frees one of its
own accord. One holds the ticket-granting ticket; MIT obtains it with the keytab and renews it at half of its life.
It is copied into one of two others, where the service ticket is fetched: a cache would hand out the ticket that it
has, and the point is to see what the KDC gives to users now.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lbproxy import files
from lbproxy.control.probes.kerberos.failures import Failure, KerberosFailure, clock_difference
from lbproxy.control.probes.kerberos.tokens import ticket_kvno
from lbproxy.errors import MissingExtraError

try:
    import gssapi
    from gssapi.raw import GSSError
    from gssapi.raw.ext_krb5 import krb5_extract_authtime_from_sec_context
except ImportError as error:
    raise MissingExtraError("a Kerberos check", "kerberos") from error

_KRB5 = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2")
_SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
_PRINCIPAL = gssapi.NameType.kerberos_principal
_MUTUAL = gssapi.RequirementFlag.mutual_authentication
_PLAIN = gssapi.RequirementFlag.integrity  # one without mutual authentication is complete after its first token

_KRB5_ERRORS = -1765328384  # the first number of MIT's table krb5: RFC 4120's error codes, then MIT's own
_FAILURES = {
    37: Failure.KDC_SKEW,  # KRB_AP_ERR_SKEW
    148: Failure.KDC_SKEW,  # KRB5_KDCREP_SKEW
    154: Failure.KDC_UNREACHABLE,  # KRB5_REALM_UNKNOWN: no KDC is configured for it, nor in DNS
    156: Failure.KDC_UNREACHABLE,  # KRB5_KDC_UNREACH
    220: Failure.KDC_UNREACHABLE,  # KRB5_REALM_CANT_RESOLVE
}
_LOGIN_FAILURES = _FAILURES | {
    6: Failure.PRINCIPAL_UNKNOWN,  # KDC_ERR_C_PRINCIPAL_UNKNOWN
    24: Failure.KEY_WRONG,  # KDC_ERR_PREAUTH_FAILED
    31: Failure.KEY_WRONG,  # KRB_AP_ERR_BAD_INTEGRITY: the KDC asks for no pre-authentication
}
_SERVICE_FAILURES = _FAILURES | {
    7: Failure.SPN_UNKNOWN,  # KDC_ERR_S_PRINCIPAL_UNKNOWN
}

_REFUSED_KEY_REST = 900.0  # seconds until a key that was refused is offered again: accounts get locked
_SUSPECT_AGE = 600.0  # seconds after which a ticket-granting ticket may be what a KDC refuses
_SKEW_KNOWN = 60.0  # seconds; clocks that are closer than this are no reason for a refusal

_numbers = itertools.count(1)


def check_keytab(keytab: Path, principal: str) -> None:
    """Raises KerberosFailure unless `keytab` can be read and has a key of `principal`; the KDC is not asked."""
    try:
        files.check(keytab)  # GSS-API would wait for ever at a FIFO
        name = gssapi.Name(principal, _PRINCIPAL)
        gssapi.Credentials(name=name, usage="accept", mechs=[_KRB5], store={"keytab": f"FILE:{keytab}"})
    except OSError as error:
        raise KerberosFailure(Failure.KEYTAB_UNUSABLE, f"{keytab}: {error.strerror}") from None
    except GSSError as error:
        raise KerberosFailure(Failure.KEYTAB_UNUSABLE, f"{keytab}: {_text(error)}") from None


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
            raise KerberosFailure(Failure.MUTUAL_WRONG, _text(error)) from None
        if not complete:
            raise KerberosFailure(Failure.MUTUAL_WRONG, "the exchange is not complete")


@dataclass(frozen=True, slots=True)
class Ticket:
    """A service ticket, good for any number of handshakes.

    `kvno` is the version of the service's key that it is made with, None if the KDC does not say. `fetched` and
    `expires` are monotonic seconds; the KDC's clock is `skew` seconds ahead of this machine's.
    """

    service: gssapi.Name
    cache: str
    kvno: int | None
    fetched: float
    expires: float
    skew: float

    def initiate(self) -> Handshake:
        """A fresh token, in SPNEGO as browsers send it. Raises KerberosFailure when the ticket has become useless."""
        try:
            context = _context(self.cache, self.service, _SPNEGO, _MUTUAL)
            return Handshake(context, context.step() or b"")
        except GSSError as error:
            raise _failure(error, _SERVICE_FAILURES) from None


class Login:
    """Fetches tickets for `spn`, as in HTTP@login.corp.example, in the name of `principal`, with the key in `keytab`.

    One thread at a time may use it.
    """

    def __init__(self, principal: str, keytab: Path, spn: str) -> None:
        self._principal = principal
        self._keytab = keytab
        service, _, host = spn.partition("@")
        # A name of the type for host-based services would be canonicalised through DNS, if krb5.conf says so. An empty
        # realm is the client's own, or where its KDC refers to (RFC 6806 section 8).
        self._service = gssapi.Name(f"{service}/{host}@", _PRINCIPAL)
        realm = principal.rpartition("@")[2]
        self._tgs = gssapi.Name(f"krbtgt/{realm}@{realm}", _PRINCIPAL)
        self._login_cache = _new_cache()
        self._next_cache, self._used_cache = _new_cache(), _new_cache()
        self._authtime = 0  # of the ticket-granting ticket: when the KDC issued it, by its own clock
        self._logged_in = 0.0  # the same moment, in monotonic seconds
        self._refused: _RefusedKey | None = None

    def __repr__(self) -> str:
        return f"<Login {self._principal} for {self._service}>"

    def fetch(self) -> Ticket:
        """A service ticket made now. Raises KerberosFailure."""
        credentials = self._log_in()
        cache = self._next_cache
        fetched = time.monotonic()
        try:
            credentials.store(store={"ccache": cache}, usage="initiate", mech=_KRB5, overwrite=True)
            context = _context(cache, self._service, _KRB5, _PLAIN)
            token = context.step() or b""
            expires = fetched + context.lifetime
        except GSSError as error:
            raise self._no_ticket(error) from None
        # The ticket before this one stays good: handshakes with it may be under way.
        self._next_cache, self._used_cache = self._used_cache, cache
        return Ticket(self._service, cache, ticket_kvno(token), fetched, expires, self._skew())

    def _log_in(self) -> gssapi.Credentials:
        """Credentials whose cache holds a ticket-granting ticket and nothing else."""
        check_keytab(self._keytab, self._principal)
        if self._refused is not None and self._refused.still_is(self._keytab):
            raise KerberosFailure(Failure.KEY_WRONG, f"{self._keytab}, which is not offered again for a while")
        started = time.monotonic()
        try:
            store: dict[str | bytes, str | bytes] = {
                "client_keytab": f"FILE:{self._keytab}",
                "ccache": self._login_cache,
            }
            name = gssapi.Name(self._principal, _PRINCIPAL)
            credentials = gssapi.Credentials(name=name, usage="initiate", mechs=[_KRB5], store=store)
            self._note_time(started)
        except GSSError as error:
            failure = _failure(error, _LOGIN_FAILURES)
            if failure.failure is Failure.KEY_WRONG:
                self._refused = _RefusedKey(self._keytab)
            raise failure from None
        return credentials

    def _note_time(self, started: float) -> None:
        """Learn the KDC's time from a ticket-granting ticket that was issued just now, not from one seen before."""
        context = _context(self._login_cache, self._tgs, _KRB5, _PLAIN)
        context.step()
        authtime = krb5_extract_authtime_from_sec_context(context)
        if authtime != self._authtime:
            self._authtime, self._logged_in = authtime, started

    def _skew(self) -> float:
        """The KDC's clock minus this machine's, to a second, even if the latter was set since the login."""
        return self._authtime + 0.5 + time.monotonic() - self._logged_in - time.time()

    def _no_ticket(self, error: GSSError) -> KerberosFailure:
        failure = _failure(error, _SERVICE_FAILURES)
        if failure.failure is Failure.KDC_SKEW and abs(self._skew()) > _SKEW_KNOWN:
            return KerberosFailure(Failure.KDC_SKEW, f"the KDC's is {clock_difference(self._skew())} this machine's")
        if failure.failure is Failure.KDC_REFUSED and time.monotonic() - self._logged_in > _SUSPECT_AGE:
            self._login_cache = _new_cache()  # perhaps it is the ticket-granting ticket that the KDC does not like
        return failure


class _RefusedKey:
    """Which version of a keytab was refused, and until when to leave it at that."""

    def __init__(self, keytab: Path) -> None:
        self._version = _version(keytab)
        self._until = time.monotonic() + _REFUSED_KEY_REST

    def still_is(self, keytab: Path) -> bool:
        return _version(keytab) == self._version and time.monotonic() < self._until


def _version(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written or replaced; zeros if it cannot be looked at."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino


def _new_cache() -> str:
    return f"MEMORY:lbproxy-{next(_numbers)}"


def _context(
    cache: str, target: gssapi.Name, mechanism: gssapi.OID, flags: gssapi.RequirementFlag
) -> gssapi.SecurityContext:
    credentials = gssapi.Credentials(usage="initiate", mechs=[mechanism], store={"ccache": cache})
    return gssapi.SecurityContext(name=target, creds=credentials, mech=mechanism, flags=flags, usage="initiate")


def _failure(error: GSSError, failures: Mapping[int, Failure]) -> KerberosFailure:
    number = (error.min_code - _KRB5_ERRORS) & 0xFFFFFFFF  # GSS-API's minor code is unsigned
    return KerberosFailure(failures.get(number, Failure.KDC_REFUSED), _text(error))


def _text(error: GSSError) -> str:
    """The mechanism's own words, without GSS-API's general ones."""
    return "; ".join(error.get_all_statuses(error.min_code, False))
