"""The probe's sign-in at the KDC: one for all pools that share a principal and its keytab, and for who comes after.

Everything here may block for as long as the KDC likes, but what is said not to. Importing this module raises
MissingExtraError where gssapi is not installed.
"""

from __future__ import annotations

import itertools
import threading
import time
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path

from lbproxy import files
from lbproxy.control.probes.kerberos import gss, libkrb5
from lbproxy.control.probes.kerberos.backoff import LONGEST, LONGEST_SILENCE, RETRY, Backoff
from lbproxy.control.probes.kerberos.failures import Failure, KerberosFailure
from lbproxy.control.probes.kerberos.gss import GSSError, gssapi
from lbproxy.control.probes.kerberos.memory import SignInMemory
from lbproxy.control.probes.kerberos.tokens import nt_status

RENEW = 300.0
"""Seconds after which it signs in anew though its ticket is good: so soon a changed password or a disabled account is
noticed."""

_REVOKED = 18
_FAILURES = {
    **gss.FAILURES,
    1: Failure.ACCOUNT_EXPIRED,  # KDC_ERR_NAME_EXP
    6: Failure.PRINCIPAL_UNKNOWN,  # KDC_ERR_C_PRINCIPAL_UNKNOWN
    12: Failure.ACCOUNT_RESTRICTED,  # KDC_ERR_POLICY
    _REVOKED: Failure.ACCOUNT_REVOKED,  # KDC_ERR_CLIENT_REVOKED
    23: Failure.PASSWORD_EXPIRED,  # KDC_ERR_KEY_EXPIRED
    24: Failure.KEY_WRONG,  # KDC_ERR_PREAUTH_FAILED
    31: Failure.KEY_WRONG,  # KRB_AP_ERR_BAD_INTEGRITY: the KDC asks for no pre-authentication
    # The keytab has keys of the principal, which was checked, but of other types than the KDC asks for:
    181: Failure.ENCTYPE,  # KRB5_KT_NOTFOUND
    210: Failure.ENCTYPE,  # KRB5_PREAUTH_FAILED
}
_STATUSES = {  # NTSTATUS (MS-ERREF section 2.3), which Active Directory adds to its error
    0xC000006F: Failure.ACCOUNT_RESTRICTED,  # STATUS_INVALID_LOGON_HOURS
    0xC0000070: Failure.ACCOUNT_RESTRICTED,  # STATUS_INVALID_WORKSTATION
    0xC0000071: Failure.PASSWORD_EXPIRED,  # STATUS_PASSWORD_EXPIRED
    0xC0000072: Failure.ACCOUNT_DISABLED,  # STATUS_ACCOUNT_DISABLED
    0xC0000193: Failure.ACCOUNT_EXPIRED,  # STATUS_ACCOUNT_EXPIRED
    0xC0000224: Failure.PASSWORD_EXPIRED,  # STATUS_PASSWORD_MUST_CHANGE
    0xC0000234: Failure.ACCOUNT_LOCKED,  # STATUS_ACCOUNT_LOCKED_OUT
}
_MIT_STATUSES = {  # what MIT's KDC says in its e-text
    "LOCKED_OUT": Failure.ACCOUNT_LOCKED,  # after too many wrong keys
    "CLIENT LOCKED OUT": Failure.ACCOUNT_DISABLED,  # by an administrator: -allow_tix
}

_numbers = itertools.count(1)


def new_cache() -> str:
    """The name of a credential cache in memory that is not in use."""
    return f"MEMORY:lbproxy-{next(_numbers)}"


def check_keytab(keytab: Path, principal: str) -> None:
    """Raises KerberosFailure unless `keytab` can be read and has a key of `principal`; the KDC is not asked."""
    try:
        files.check(keytab)  # GSS-API would wait for ever at a FIFO
        name = gssapi.Name(principal, gss.PRINCIPAL)
        gssapi.Credentials(name=name, usage="accept", mechs=[gss.KRB5], store={"keytab": f"FILE:{keytab}"})
    except OSError as error:
        raise KerberosFailure(Failure.KEYTAB_UNUSABLE, f"{keytab}: {error.strerror}") from None
    except GSSError as error:
        raise KerberosFailure(Failure.KEYTAB_UNUSABLE, f"{keytab}: {gss.text(error)}") from None


@dataclass(frozen=True, slots=True)
class _Held:
    """A ticket-granting ticket: in `cache`, and `exported`. `issued` is by the KDC's clock, the others monotonic."""

    cache: str
    exported: bytes
    issued: int
    signed_in: float
    expires: float


class SignIn:
    """Signs `principal` in with the key in `keytab`, and again every RENEW seconds.

    Any number of threads may use it; one at a time asks the KDC. What was refused is tried again after longer and
    longer waits, at once when the keytab changes, and a key that was refused only then: accounts get locked. `trouble`
    is why the last attempt failed, None if it did not. `retry` is the first of these waits, in seconds.
    """

    def __init__(self, principal: str, keytab: Path, retry: float = RETRY, renew: float = RENEW) -> None:
        self.principal = principal
        self.trouble: KerberosFailure | None = None
        self.retry = retry
        self._keytab = keytab
        self._renew = renew
        self._lock = threading.Lock()
        self._held: _Held | None = None
        self._backoff = Backoff(retry)
        self._tried = (0, 0, 0)  # the version of the keytab that was tried last
        self._retired = False

    def __repr__(self) -> str:
        return f"<sign-in of {self.principal}: {self.trouble or 'no trouble'}>"

    def credentials(self) -> gssapi.Credentials:
        """Credentials whose cache holds a ticket-granting ticket and nothing else. Raises KerberosFailure."""
        with self._lock:
            if self._is_due():
                self._try()
            held = self._held
            if held is None or time.monotonic() >= held.expires:
                raise self.trouble.copy() if self.trouble else KerberosFailure(Failure.KDC_REFUSED, "not signed in")
            return gss.credentials(held.cache)

    @property
    def skew(self) -> float:
        """The KDC's clock minus this machine's, to a second, even if the latter was set since; 0 if not known."""
        held = self._held
        return 0.0 if held is None else held.issued + 0.5 + time.monotonic() - held.signed_in - time.time()

    def retire(self) -> None:
        """Sign in no more: another process does. What is held may be used until it expires. This does not block."""
        self._retired = True

    def memory(self) -> SignInMemory:
        """What it has and knows. This does not block."""
        held, trouble = self._held, self.trouble
        return {
            "credentials": None if held is None else b64encode(held.exported).decode(),
            "issued": 0 if held is None else held.issued,
            "signed_in": 0.0 if held is None else held.signed_in,
            "expires": 0.0 if held is None else held.expires,
            "refused": None if trouble is None else trouble.told(),
            "keytab": list(self._tried),
            "again": self._backoff.memory(),
        }

    def remember(self, memory: SignInMemory) -> None:
        """Go on where another one was; before it is used. This does not block."""
        if memory["credentials"] is not None:
            exported, cache = b64decode(memory["credentials"]), new_cache()
            gss.store(gssapi.Credentials(token=exported), cache)
            self._held = _Held(cache, exported, memory["issued"], memory["signed_in"], memory["expires"])
        self.trouble = KerberosFailure.heard(memory["refused"])
        self._tried = (memory["keytab"][0], memory["keytab"][1], memory["keytab"][2])
        self._backoff.remember(memory["again"])

    def _is_due(self) -> bool:
        """Whether to ask the KDC now."""
        now, held = time.monotonic(), self._held
        if self._retired:
            return False
        if self.trouble is not None:
            if _version(self._keytab) != self._tried:
                self._backoff.over()
                return True
            return now >= self._backoff.again and self.trouble.failure is not Failure.KEY_WRONG
        return held is None or now >= held.signed_in + min(self._renew, (held.expires - held.signed_in) / 2)

    def _try(self) -> None:
        self._tried = _version(self._keytab)
        started = time.monotonic()
        try:
            check_keytab(self._keytab, self.principal)
            fresh = self._ask(new_cache(), started)
        except KerberosFailure as failure:
            self.trouble = failure.copy()
            silent = failure.failure is Failure.KDC_UNREACHABLE
            self._backoff.failed(time.monotonic(), LONGEST_SILENCE if silent else LONGEST)
        else:
            before, self._held, self.trouble = self._held, fresh, None
            self._backoff.over()
            if before is not None:
                libkrb5.destroy(before.cache)

    def _ask(self, cache: str, started: float) -> _Held:
        try:
            times = libkrb5.sign_in(self.principal, self._keytab, cache)
        except libkrb5.SignInError as error:
            raise KerberosFailure(_row(error), _detail(error)) from None
        try:
            exported = gss.credentials(cache).export()
        except GSSError as error:
            raise gss.failure(error, _FAILURES) from None
        return _Held(cache, exported, times.issued, started, started + times.ends - times.issued)


def _row(error: libkrb5.SignInError) -> Failure:
    status = nt_status(error.data)
    if status in _STATUSES:
        return _STATUSES[status]
    if error.number == _REVOKED and error.status in _MIT_STATUSES:
        return _MIT_STATUSES[error.status]
    return _FAILURES.get(error.number, Failure.KDC_REFUSED)


def _detail(error: libkrb5.SignInError) -> str:
    """The library's words, and what else the KDC said."""
    status = nt_status(error.data)
    more = (error.status, "" if status is None else f"NTSTATUS {status:#010x}")
    return "; ".join((error.text, *filter(None, more)))


def _version(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written or replaced; zeros if it cannot be looked at."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino
