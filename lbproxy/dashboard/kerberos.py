"""Sign-in by ticket: SPNEGO over HTTP (RFC 4559), with the keys of a keytab, in one leg.

Only Kerberos is taken: other mechanisms of this machine, NTLM among them, are left out. A token that a browser has
bound to another server's certificate (RFC 5929), and that was relayed from there, is refused. So is one for another
service whose key the keytab has too: whoever runs that service gets tokens of users, and could show them here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from lbproxy.errors import MissingExtraError

_SPNEGO = "1.3.6.1.5.5.2"
_SCHEME = "negotiate"
_ANONYMOUS = "WELLKNOWN"


class Answer(NamedTuple):
    """Who it is, and the token that proves this server to them; or why not."""

    principal: str = ""
    reply: bytes | None = None
    refused: str = ""


class Acceptor:
    """Takes tickets for every key in `keytab`."""

    def __init__(
        self, keytab: Path, binding: bytes | None = None, is_ours: Callable[[str], bool] = lambda host: True
    ) -> None:
        """binding: tls-server-end-point of the certificate that browsers see; None: there is none.

        is_ours: whether a host is one of this dashboard's.

        Raises ValueError with a sentence that names the file, and MissingExtraError.
        """
        try:
            import gssapi
        except ImportError:
            raise MissingExtraError("signing in with Kerberos", "kerberos") from None
        self._gssapi: Any = gssapi
        self._keytab = keytab
        self._is_ours = is_ours
        if not keytab.is_file():
            raise ValueError(f"{keytab}: no such file")
        try:
            self._credentials = self._kerberos_only()
        except gssapi.raw.GSSError as error:
            raise ValueError(f"{keytab}: {error}") from None
        self._bindings = None
        if binding is not None:
            data = b"tls-server-end-point:" + binding
            self._bindings = gssapi.raw.ChannelBindings(application_data=data)

    def __repr__(self) -> str:
        return f"<acceptor of {self._keytab}>"

    def accept(self, token: bytes) -> Answer:
        """Look at a token, which may take a moment: the replay cache is a file."""
        try:
            context = self._gssapi.SecurityContext(
                creds=self._credentials, usage="accept", channel_bindings=self._bindings
            )
            reply = context.step(token)
            if not context.complete:
                return Answer(refused="the ticket needs another round, which is not offered")
            name, service = str(context.initiator_name), str(context.target_name)
            anonymous = name.startswith(f"{_ANONYMOUS}/") or name.endswith(f"@{_ANONYMOUS}:ANONYMOUS")
            if anonymous:
                return Answer(refused="anonymous tickets are not taken")
            if not self._is_for_us(service):
                return Answer(refused=f"the ticket is for {service}, and not for HTTP and a name of the certificate")
            return Answer(name, reply)
        except self._gssapi.raw.GSSError as error:
            return Answer(refused=str(error))
        except UnicodeDecodeError:
            return Answer(refused="the name in the ticket is not UTF-8")

    def _is_for_us(self, service: str) -> bool:
        kind, _, rest = service.partition("/")
        return kind.upper() == "HTTP" and self._is_ours(rest.partition("@")[0].lower())

    def _kerberos_only(self) -> Any:
        gssapi = self._gssapi
        kerberos, spnego = gssapi.MechType.kerberos, gssapi.OID.from_int_seq(_SPNEGO)
        credentials = gssapi.Credentials(usage="accept", mechs=[kerberos, spnego], store={"keytab": str(self._keytab)})
        if kerberos not in credentials.mechs:
            raise ValueError(f"{self._keytab}: it has no key that can be used")
        gssapi.raw.set_neg_mechs(credentials, [kerberos])
        return credentials


def token_of(authorization: str) -> bytes | None:
    """The token of an Authorization header; None: there is none. Raises ValueError for one that is none."""
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != _SCHEME:
        return None
    try:
        return base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        raise ValueError("the token is not base64") from None


def challenge(reply: bytes | None = None) -> str:
    """The value of WWW-Authenticate."""
    return f"Negotiate {base64.b64encode(reply).decode()}" if reply else "Negotiate"
