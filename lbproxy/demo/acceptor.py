"""The server's half of SPNEGO (RFC 4559), with the keys of a keytab.

gssapi is an optional dependency, so it is imported when an acceptor is made and not before.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lbproxy.errors import MissingExtraError, StartError

if TYPE_CHECKING:
    import gssapi


@dataclass(frozen=True, slots=True)
class Step:
    """What one token led to.

    user is the initiator's principal once the exchange is complete; reply is the token to send back; refused says why
    the token is no good. With neither user nor refused, the initiator has to send another token.
    """

    user: str | None = None
    reply: bytes | None = None
    refused: str = ""


class Exchange:
    """One security context on its way to being established: one leg for a plain ticket, more for other mechanisms."""

    def __init__(self, context: gssapi.SecurityContext, failure: type[Exception]) -> None:
        self._context = context
        self._failure = failure

    def step(self, token: bytes) -> Step:
        """Takes the initiator's token; a replayed, stale or foreign one is refused, never raised."""
        try:
            reply = self._context.step(token)
            # gssapi holds an error back while it has a token to send; reading an attribute raises it.
            if not self._context.complete:
                return Step(reply=reply)
            return Step(user=str(self._context.initiator_name), reply=reply)
        except self._failure as error:
            return Step(refused=str(error))


def check_gssapi() -> None:
    """Raises MissingExtraError when gssapi cannot be imported."""
    try:
        import gssapi  # noqa: F401  (only whether it is there)
    except ImportError as error:
        raise MissingExtraError("Kerberos", "kerberos") from error


class Acceptor:
    """Accepts tickets for HTTP/`host` with the keys in `keytab`, or for every key in it when host is None.

    Raises MissingExtraError without gssapi and StartError when the keytab is of no use.
    """

    def __init__(self, keytab: Path, host: str | None = None) -> None:
        check_gssapi()
        import gssapi

        self._context_type = gssapi.SecurityContext
        self._failure = gssapi.raw.GSSError
        self._keytab = keytab
        try:
            name = gssapi.Name(f"HTTP@{host}", gssapi.NameType.hostbased_service) if host else None
            self._credentials = _kerberos_only(name, keytab)
        except gssapi.raw.GSSError as error:
            raise StartError(f"{keytab}: {error}") from error

    def __repr__(self) -> str:
        return f"<Acceptor {self._keytab}>"

    def exchange(self) -> Exchange:
        """A fresh exchange, for the first token of an initiator."""
        return Exchange(self._context_type(creds=self._credentials, usage="accept"), self._failure)


def _kerberos_only(name: gssapi.Name | None, keytab: Path) -> gssapi.Credentials:
    """Credentials that accept Kerberos, alone or in SPNEGO, whatever other mechanisms this machine has installed.

    Left to itself the library would hand an NTLM token to gss-ntlmssp, which dies of it. Raises GSSError, and
    StartError where the keytab is missing and only SPNEGO, which needs no key, is left.
    """
    import gssapi

    kerberos, spnego = gssapi.MechType.kerberos, gssapi.OID.from_int_seq("1.3.6.1.5.5.2")
    credentials = gssapi.Credentials(name=name, usage="accept", mechs=[kerberos, spnego], store={"keytab": str(keytab)})
    if kerberos not in credentials.mechs:
        raise StartError(f"{keytab}: it has no key that can be used")
    gssapi.raw.set_neg_mechs(credentials, [kerberos])
    return credentials
