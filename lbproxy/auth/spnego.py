"""What an Authorization or WWW-Authenticate value is, as far as the rule of lanes (docs/lanes.md) needs to know.

The tokens are RFC 4559's: base64 of a GSS-API token (RFC 2743 section 3.1), which is SPNEGO (RFC 4178), Kerberos
without it (RFC 4121), or NTLM with no framing at all ([MS-NLMP] section 2.2.1). `gss_token` looks into them. Nothing
here judges whether a token is true, and no bytes raise: what is not understood is UNKNOWN, and so never shares a
connection.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

from lbproxy.auth import gss_token


class Credential(Enum):
    """What a request carries in Authorization."""

    __hash__ = object.__hash__  # Enum's own is Python, and credentials are keys of the tables of `binding`

    NONE = "none"
    PER_REQUEST = "per-request"  # complete in itself, and says nothing of the connection
    KERBEROS = "kerberos"  # a complete, fresh Kerberos token: good at any backend, then tied to the connection
    NTLM = "ntlm"  # any of NTLM's three messages: tied to the connection
    CONTINUATION = "continuation"  # a leg of an exchange of several: tied to the connection
    UNKNOWN = "unknown"  # nothing that is known to be per-request, so it is taken to be tied to the connection

    @property
    def is_connection_token(self) -> bool:
        """Whether the request makes its lane private and is sent to a backend at most once (rules 2 and 6)."""
        return self is not Credential.NONE and self is not Credential.PER_REQUEST


class Challenge(Enum):
    """What a response says of Negotiate and NTLM in WWW-Authenticate."""

    NONE = "none"
    OFFER = "offer"  # the scheme's bare name
    TOKEN = "token"  # with a 401 a leg of an exchange; with success the proof of the server (RFC 4559)


_KINDS = (
    Credential.UNKNOWN,
    Credential.KERBEROS,
    Credential.NTLM,
    Credential.CONTINUATION,
)  # as gss_token numbers them

# Of IANA's "HTTP Authentication Schemes", those whose every request proves itself, in one leg; and AWS's, which signs
# each request. Left out on purpose: Mutual (RFC 8120) and SCRAM-* (RFC 7804) take several legs, and one instance holds
# what is between them; Concealed (RFC 9729) signs the TLS connection; Negotiate violates HTTP by being
# connection-oriented, as the registry says. One left out by mistake costs a lane, one put in by mistake an identity.
PER_REQUEST_SCHEMES = frozenset(
    b"basic bearer digest dpop gnap hoba oauth privatetoken vapid aws4-hmac-sha256".split()  # in lower case
)


def classify(authorization: bytes | None) -> Credential:
    """What the whole value of a request's one Authorization line is; None means that there is no such line."""
    if authorization is None:
        return Credential.NONE
    end = authorization.find(b" ")
    scheme = (authorization if end < 0 else authorization[:end]).lower()  # RFC 9110 section 11.1
    if scheme in PER_REQUEST_SCHEMES:
        return Credential.PER_REQUEST
    if scheme == b"ntlm":
        return Credential.NTLM
    if scheme != b"negotiate":
        return Credential.UNKNOWN
    return _KINDS[gss_token.kind(authorization, len(scheme))]


# The name anywhere is enough to be an offer, even inside a quoted string: one seen too often costs a lane, one missed
# costs an identity. For the same reason lists are not taken apart: `Basic realm="x, Negotiate", NTLM` needs no care.
_SCHEME = re.compile(rb"negotiate|ntlm", re.IGNORECASE)
_SCHEME_AND_TOKEN = re.compile(rb"(?:^|[,\s])(?i:negotiate|ntlm)[ \t]++([A-Za-z0-9._~+/-]++=*+)[ \t]*+(?:,|$)")


def challenge(values: Sequence[bytes]) -> Challenge:
    """What a response's WWW-Authenticate values (one a line; each may be a list) say of Negotiate and NTLM.

    A token that only says that the exchange has failed opens no further leg: it is an OFFER to begin anew.
    """
    found = Challenge.NONE
    for value in values:
        token = _SCHEME_AND_TOKEN.search(value)
        if token and not gss_token.is_refusal(token[1]):
            return Challenge.TOKEN
        if token or _SCHEME.search(value):
            found = Challenge.OFFER
    return found
