"""What is read out of Kerberos messages: the key that a ticket is made with, and what an error says.

The messages are DER (X.690) in GSS-API's framing (RFC 2743 section 3.1). Only lengths and the tags on the way are
looked at; what is malformed is None, never an error, because a connector may send anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

_GSS_INITIAL, _NEG_TOKEN_RESP = 0x60, 0xA1
_SEQUENCE, _INTEGER, _OCTETS, _OID, _TIME = 0x30, 0x02, 0x04, 0x06, 0x18
_AP_REQ, _TICKET, _KRB_ERROR = 0x6E, 0x61, 0x7E  # application 14, 1 and 30: RFC 4120 section 5.10


def _field(number: int) -> int:
    """The tag of the context-specific field [number]."""
    return 0xA0 + number


_ENCRYPTED = (_SEQUENCE, _field(3), _TICKET, _SEQUENCE, _field(3), _SEQUENCE)
"""From an AP-REQ to the ticket's EncryptedData: RFC 4120 sections 5.5.1 and 5.3."""

_EXTENDED = 3  # KERB_ERR_TYPE_EXTENDED

_ENCTYPES = {17: "aes128-sha1", 18: "aes256-sha1", 19: "aes128-sha2", 20: "aes256-sha2", 23: "rc4"}
"""By their numbers in IANA's registry of Kerberos encryption types, as `klist -e` has them in short."""


@dataclass(frozen=True, slots=True)
class TicketKey:
    """The service's key that a ticket is made with: its version, None if the KDC does not say, and encryption type."""

    kvno: int | None = None
    enctype: int | None = None

    def __str__(self) -> str:
        """As in "kvno 2, aes256-sha1"; empty if nothing is known."""
        version = "" if self.kvno is None else f"kvno {self.kvno}"
        kind = "" if self.enctype is None else _ENCTYPES.get(self.enctype, f"enctype {self.enctype}")
        return ", ".join(filter(None, (version, kind)))


@dataclass(frozen=True, slots=True)
class KrbError:
    """A KRB-ERROR (RFC 4120 section 5.9.1): its number, and the sender's clock (epoch seconds) if it is readable."""

    code: int
    time: float | None


def ticket_key(token: bytes) -> TicketKey:
    """The service's key in the AP-REQ that `token`, the first of a krb5 exchange, carries (RFC 4120 section 5.2.9).

    The version is optional in the protocol, so it may be missing from a good token.
    """
    try:
        encrypted = _inside(_framed(token, _AP_REQ), *_ENCRYPTED)
    except ValueError:
        return TicketKey()
    return TicketKey(_number(encrypted, 1), _number(encrypted, 0))


def nt_status(data: bytes) -> int | None:
    """Why Active Directory refuses an account: the NTSTATUS in the e-data of its KRB-ERROR, if there is one.

    It is the first field of a KERB-EXT-ERROR within KERB-ERROR-DATA (MS-KILE sections 2.2.1 and 2.2.2). Samba puts
    that into a METHOD-DATA, a list (RFC 4120 section 5.9.1), behind what it says of encryption types.
    """
    try:
        fields = _inside(data, _SEQUENCE)
        entries = [content for tag, content, _ in _elements(fields) if tag == _SEQUENCE] or [fields]
        value = next((_inside(one, _field(2), _OCTETS) for one in entries if _number(one, 1) == _EXTENDED), b"")
    except ValueError:
        return None
    return int.from_bytes(value[:4], "little") if len(value) >= 4 else None


def krb_error(reply: bytes) -> KrbError | None:
    """The KRB-ERROR in a server's `reply`, bare or within SPNEGO's NegTokenResp (RFC 4178 section 4.2.2)."""
    try:
        if reply[:1] == bytes([_NEG_TOKEN_RESP]):
            reply = _inside(reply, _NEG_TOKEN_RESP, _SEQUENCE, _field(2), _OCTETS)
        fields = _inside(_framed(reply, _KRB_ERROR), _SEQUENCE)
        return KrbError(_integer(_inside(fields, _field(6), _INTEGER)), _time(fields))
    except ValueError:
        return None


def _number(fields: bytes, field: int) -> int | None:
    try:
        return _integer(_inside(fields, _field(field), _INTEGER))
    except ValueError:
        return None


def _time(fields: bytes) -> float | None:
    """stime [4] with susec [5], the fraction."""
    try:
        whole = datetime.strptime(_inside(fields, _field(4), _TIME).decode(), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
        return whole.timestamp() + _integer(_inside(fields, _field(5), _INTEGER)) / 1e6
    except ValueError:
        return None


def _framed(token: bytes, kind: int) -> bytes:
    """The message with the tag `kind` behind the mechanism's OID and the two bytes TOK_ID (RFC 4121 section 4.1)."""
    elements = _elements(_inside(token, _GSS_INITIAL))
    tag, _, rest = next(elements, (0, b"", b""))
    if tag != _OID:
        raise ValueError("not GSS-API's framing")
    return _inside(rest[2:], kind)


def _inside(data: bytes, *path: int) -> bytes:
    """The content of the element that `path`, tags from the outside in, leads to."""
    for wanted in path:
        found = next((content for tag, content, _ in _elements(data) if tag == wanted), None)
        if found is None:
            raise ValueError("an element is missing")
        data = found
    return data


def _elements(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Each element of `data`: its tag, its content, and what follows it."""
    while data:
        if len(data) < 2:
            raise ValueError("an element without a length")
        tag, size, start = data[0], data[1], 2
        if size >= 0x80:  # the long form: so many bytes of length follow
            start += size - 0x80
            size = int.from_bytes(data[2:start])
        if start + size > len(data):
            raise ValueError("longer than what it is in")
        yield tag, data[start : start + size], data[start + size :]
        data = data[start + size :]


def _integer(content: bytes) -> int:
    return int.from_bytes(content, signed=True)
