"""A user, with a principal in the realm and an account for NTLM."""

from __future__ import annotations

from base64 import b64encode
from functools import cached_property
from typing import Protocol

import gssapi
import spnego

from ..client import HOST, Client
from ..message import Response
from .answer import token_of
from .place import NTLM_DOMAIN

SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")


class Context(Protocol):
    """The initiator's end of an exchange, gssapi's or pyspnego's."""

    @property
    def complete(self) -> bool: ...

    def step(self, token: bytes | None = None, /) -> bytes | None: ...


class Login:
    """One fresh ticket, good for one request: `line` carries it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        token = context.step()
        assert token is not None
        self.line = authorization("Negotiate", token)
        self.spoiled = authorization("Negotiate", token[:-1] + bytes([token[-1] ^ 1]))  # its checksum is wrong

    def proven(self, response: Response) -> bool:
        """Whether the mutual-authentication token of the answer is by the acceptor of this very ticket."""
        token = token_of(response)
        if token is not None:
            self._context.step(token)
        return token is not None and bool(self._context.complete)


class Person:
    """`name` is the user's; KRB5_CONFIG must name the realm while tickets are made."""

    def __init__(self, name: str, realm: str) -> None:
        self.name = name
        self.realm = realm
        self.principal = f"{name}@{realm}"
        self.ntlm_name = f"{NTLM_DOMAIN}\\{name}"
        self.password = f"{name}'s"

    def __repr__(self) -> str:
        return f"<{self.principal}>"

    def login(self) -> Login:
        """A ticket that no connector has seen. The first one costs two visits to the KDC, the next ones nothing."""
        return Login(self.context())

    def context(self, flags: int = gssapi.RequirementFlag.mutual_authentication) -> Context:
        """With DCE style the exchange has three legs: AP-REQ, AP-REP, AP-REP ([MS-KILE] section 3.4.5.1)."""
        service = gssapi.Name(f"HTTP@{HOST}", gssapi.NameType.hostbased_service)
        return gssapi.SecurityContext(name=service, creds=self._credentials, mech=SPNEGO, flags=flags, usage="initiate")

    def ntlm_context(self, protocol: str) -> Context:
        """NTLM in two legs: `protocol` is "ntlm", or "negotiate" for NTLM inside SPNEGO."""
        options = spnego.NegotiateOptions.use_negotiate if protocol == "negotiate" else spnego.NegotiateOptions.use_ntlm
        return spnego.client(self.ntlm_name, self.password, HOST, "HTTP", protocol=protocol, options=options)

    @cached_property
    def _credentials(self) -> gssapi.Credentials:
        """In memory. For SPNEGO itself: the mechanism glue does not look for Kerberos' own below it."""
        name = gssapi.Name(self.principal, gssapi.NameType.kerberos_principal)
        acquired = gssapi.raw.acquire_cred_with_password(name, self.password.encode(), usage="initiate", mechs=[SPNEGO])
        return gssapi.Credentials(base=acquired.creds)


def authorization(scheme: str, token: bytes) -> str:
    """The header line that carries `token` (RFC 4559 section 4.2)."""
    return f"Authorization: {scheme} {b64encode(token).decode()}"


async def legs(client: Client, context: Context, scheme: str, target: str) -> list[Response]:
    """Send the exchange's tokens until an answer has none for us, or is no 401; returns every answer."""
    answers: list[Response] = []
    token = context.step()
    while token:
        answers.append(await client.ask(target, "GET", authorization(scheme, token)))
        reply = token_of(answers[-1], scheme)
        token = context.step(reply) if reply is not None else None
    return answers
