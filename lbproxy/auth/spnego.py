"""What an Authorization or WWW-Authenticate value is, as far as the rule of lanes (docs/lanes.md) needs to know.

The tokens are RFC 4559's: base64 of a GSS-API token (RFC 2743 section 3.1), which is SPNEGO (RFC 4178), Kerberos
without it (RFC 4121), or NTLM with no framing at all ([MS-NLMP] section 2.2.1). Only the first bytes are decoded: a
ticket may be 64 KB, and everything that is looked at stands before it. Nothing here judges whether a token is true, and
no bytes raise: what is not understood is UNKNOWN, and so never shares a connection.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache


class Credential(Enum):
    """What a request carries in Authorization."""

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
    try:
        return _negotiate(*_opening(authorization[len(scheme) :].strip(b" ")))
    except ValueError:
        return Credential.UNKNOWN


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
        if token and not _is_refusal(token[1]):
            return Challenge.TOKEN
        if token or _SCHEME.search(value):
            found = Challenge.OFFER
    return found


# --- the token. Tags and identifiers are compared in their DER encoding (X.690 section 8.1).

_SPNEGO = b"\x06\x06\x2b\x06\x01\x05\x05\x02"  # 1.3.6.1.5.5.2
_KERBEROS = b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"  # 1.2.840.113554.1.2.2
_KERBEROS_MICROSOFT = b"\x06\x09\x2a\x86\x48\x82\xf7\x12\x01\x02\x02"  # 1.2.840.48018.1.2.2: Windows, [MS-SPNG]
_AP_REQ_TOKEN = _KERBEROS + b"\x01\x00"  # with its TOK_ID, RFC 4121 section 4.1
_KRB_ERROR_TOKEN = b"\x03\x00"  # TOK_ID, RFC 4121 section 4.1
_REJECT = b"\xa0\x03\x0a\x01\x02"  # negState [0] reject, RFC 4178 section 4.2.2
_AP_REQ_START = b"\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x0e"  # pvno 5, msg-type 14: RFC 4120 section 5.5.1
_NTLM = b"NTLMSSP\0"  # [MS-NLMP] section 2.2.1

_GSS_INITIAL, _AP_REQ, _SEQUENCE, _OCTETS = 0x60, 0x6E, 0x30, 0x04
_FIELD_0, _FIELD_1, _FIELD_2 = 0xA0, 0xA1, 0xA2

_LOOKED_AT = 512  # characters of base64. Five mechanisms, all lengths and both identifiers are under 200 bytes


def _opening(token68: bytes) -> tuple[bytes, int]:
    """The first characters of a token, and the bytes that the whole decodes to; ValueError if it is malformed.

    `token68` must be base64 with its padding (RFC 4648 section 4), as RFC 4559 section 4 has it.
    """
    if len(token68) % 4:
        raise ValueError("base64 without its padding")
    return token68[:_LOOKED_AT], len(token68) // 4 * 3 - token68.count(b"=", -2)


# An element is looked for at `at`, and must end by `end`. ValueError is raised for all that is malformed.


def _tag(head: bytes, at: int, end: int) -> int:
    """The tag of the element at `at`, or -1 at `end`, where there is none."""
    if at == end:
        return -1
    if at >= len(head):
        raise ValueError("further on than tokens are looked at")
    return head[at]


def _enter(head: bytes, tag: int, at: int, end: int) -> tuple[int, int]:
    """Where the content of an element with this tag starts and ends."""
    start = at + 2
    if start > len(head) or head[at] != tag:
        raise ValueError("another element than expected, or none in sight")
    size = head[at + 1]
    if size > 0x80:  # the long form: so many bytes of length follow
        start += size - 0x80
        size = int.from_bytes(head[at + 2 : start])
    elif size == 0x80:
        raise ValueError("the indefinite length, which DER does not have")
    if start + size > end:
        raise ValueError("longer than what it is in")
    return start, start + size


def _descend(head: bytes, at: int, end: int, *tags: int) -> int:
    """Where the content of the innermost of nested elements starts; each of them ends at `end` exactly.

    This is most of what a token costs, so it does in a loop what `_enter` does in calls.
    """
    for tag in tags:
        start = at + 2
        if start > len(head) or head[at] != tag:
            raise ValueError("another element than expected, or none in sight")
        size = head[at + 1]
        if size > 0x80:
            start += size - 0x80
            size = int.from_bytes(head[at + 2 : start])
        elif size == 0x80:
            raise ValueError("the indefinite length, which DER does not have")
        if start + size != end:
            raise ValueError("not as long as what it is in")
        at = start
    return at


@lru_cache(maxsize=1024)
def _negotiate(opening: bytes, end: int) -> Credential:
    """The token of the scheme Negotiate.

    The tokens that a client makes of one ticket begin alike, down to the ticket's own first bytes, and what is in it
    needs to be understood once.
    """
    head = a2b_base64(opening, strict_mode=True)  # binascii.Error is a ValueError
    if head.startswith(_NTLM):
        return Credential.NTLM
    if _tag(head, 0, end) == _FIELD_1:
        return _response(head, _descend(head, 0, end, _FIELD_1, _SEQUENCE), end)
    at = _descend(head, 0, end, _GSS_INITIAL)
    if not head.startswith(_SPNEGO, at):
        return _kerberos(head, 0, end)
    return _init(head, _descend(head, at + len(_SPNEGO), end, _FIELD_0, _SEQUENCE), end)


def _init(head: bytes, at: int, end: int) -> Credential:
    """Of a NegTokenInit (RFC 4178 section 4.2.1): mechTypes [0], reqFlags [1] or not, mechToken [2] or not, ...

    The mechToken is for the first of mechTypes. Without one the server chooses first, so legs are to come.
    """
    types, at = _enter(head, _FIELD_0, at, end)
    first_type = _descend(head, types, at, _SEQUENCE)
    if _tag(head, at, end) == _FIELD_1:
        _, at = _enter(head, _FIELD_1, at, end)
    if _tag(head, at, end) != _FIELD_2:
        return Credential.CONTINUATION
    at, end = _enter(head, _FIELD_2, at, end)
    at = _descend(head, at, end, _OCTETS)
    if head.startswith(_NTLM, at):
        return Credential.NTLM
    if head.startswith(_KERBEROS, first_type) or head.startswith(_KERBEROS_MICROSOFT, first_type):
        return _kerberos(head, at, end)
    return Credential.UNKNOWN


def _response(head: bytes, at: int, end: int) -> Credential:
    """Of a NegTokenResp (RFC 4178 section 4.2.2): negState [0], supportedMech [1], responseToken [2], ..., optional."""
    for field in (_FIELD_0, _FIELD_1):
        if _tag(head, at, end) == field:
            _, at = _enter(head, field, at, end)
    if _tag(head, at, end) == _FIELD_2:
        at, end = _enter(head, _FIELD_2, at, end)
        if head.startswith(_NTLM, _descend(head, at, end, _OCTETS)):
            return Credential.NTLM
    return Credential.CONTINUATION


def _kerberos(head: bytes, at: int, end: int) -> Credential:
    """The framed AP-REQ that opens a Kerberos exchange (RFC 4121 section 4.1), all of it.

    Others of the mechanism's tokens (user-to-user, DCE style without framing) take several legs: UNKNOWN.
    """
    at = _descend(head, at, end, _GSS_INITIAL)
    if not head.startswith(_AP_REQ_TOKEN, at):
        return Credential.UNKNOWN
    at = _descend(head, at + len(_AP_REQ_TOKEN), end, _AP_REQ, _SEQUENCE)
    return Credential.KERBEROS if head.startswith(_AP_REQ_START, at) else Credential.UNKNOWN


def _is_refusal(token68: bytes) -> bool:
    """Whether a server's token ends the exchange: SPNEGO's reject (Apache's, with the error in it), or a KRB-ERROR."""
    try:
        opening, end = _opening(token68)
        head = a2b_base64(opening, strict_mode=True)
        if _tag(head, 0, end) == _FIELD_1:
            return head.startswith(_REJECT, _descend(head, 0, end, _FIELD_1, _SEQUENCE))
        return head.startswith(_KERBEROS + _KRB_ERROR_TOKEN, _descend(head, 0, end, _GSS_INITIAL))
    except ValueError:
        return False
