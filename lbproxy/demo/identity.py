"""Who is speaking: the decision of a connector, for one request on one TCP connection.

A connector believes, in this order: a SPNEGO token in the request, what the connection was authenticated as before
(only when it binds identity to connections, as Windows does for NTLM and many Kerberos servers do), and the TLS
client certificate's common name. Nothing here does I/O.
"""

from __future__ import annotations

import binascii
import ssl
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from lbproxy.demo.acceptor import Acceptor, Exchange, Step


@dataclass(slots=True)
class Connection:
    """What a connector remembers of one TCP connection."""

    number: int  # from 1, in the order of first requests
    requests: int = 0  # so far, the current one included
    user: str | None = None  # bound by an earlier request
    exchange: Exchange | None = None  # waits for the initiator's next token


class Connections:
    """The open connections by their transport; a closed one is forgotten with its transport."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Any, Connection] = WeakKeyDictionary()
        self._count = 0

    def request_on(self, transport: object) -> Connection:
        """The connection that a new request came on, with the request counted."""
        connection = self._known.get(transport)
        if connection is None:
            self._count += 1
            connection = self._known[transport] = Connection(self._count)
        connection.requests += 1
        return connection


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who sent a request (None: unknown), how that is known, the WWW-Authenticate to send, and why it was refused."""

    user: str | None = None
    how: str = "nothing"
    challenge: str | None = None
    refused: str = ""


class Gate:
    """Judges requests. `acceptor` is None where Kerberos is off; `binds` keeps identity on the connection."""

    def __init__(self, acceptor: Acceptor | None, binds: bool) -> None:
        self._acceptor = acceptor
        self._binds = binds

    def judge(self, connection: Connection, authorization: str | None, certificate_user: str | None) -> Verdict:
        """`authorization` is the header's value; its effect on the connection is kept there."""
        token = negotiate_token(authorization)
        if token is not None and self._acceptor is not None:
            return self._authenticate(connection, token, self._acceptor)
        if connection.user is not None:
            return Verdict(connection.user, "connection")
        if certificate_user is not None:
            return Verdict(certificate_user, "certificate")
        return Verdict()

    def _authenticate(self, connection: Connection, token: bytes, acceptor: Acceptor) -> Verdict:
        if not token:  # to gssapi an empty token is a request for its hints, the start of an exchange
            return Verdict(refused="no token after Negotiate")
        exchange = connection.exchange or acceptor.exchange()
        step = exchange.step(token)
        connection.exchange = None if step.user or step.refused else exchange
        if self._binds:
            connection.user = step.user
        return Verdict(step.user, "kerberos" if step.user else "nothing", _challenge(step), step.refused)


def negotiate_token(authorization: str | None) -> bytes | None:
    """The token of an `Authorization: Negotiate` value (RFC 4559 section 4.2), None for any other value.

    What is not base64 becomes an empty token.
    """
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "negotiate":
        return None
    try:
        return b64decode(encoded.strip(), validate=True)
    except binascii.Error:
        return b""


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """A verified client certificate: common names of its subject and issuer, and its notAfter in epoch seconds."""

    name: str | None = None
    issuer: str | None = None
    ends: int | None = None

    @classmethod
    def of(cls, found: Mapping[str, Any] | None) -> PeerCertificate:
        """From what `ssl.SSLSocket.getpeercert()` returns; all None when the client has shown none."""
        if not found:
            return cls()
        ends = ssl.cert_time_to_seconds(found["notAfter"])
        return cls(_common_name(found["subject"]), _common_name(found["issuer"]), ends)


_DistinguishedName = Iterable[Iterable[tuple[str, str]]]


def _common_name(name: _DistinguishedName) -> str | None:
    return next((value for names in name for key, value in names if key == "commonName"), None)


def _challenge(step: Step) -> str | None:
    if step.refused:
        return None
    return f"Negotiate {b64encode(step.reply).decode()}" if step.reply else None
