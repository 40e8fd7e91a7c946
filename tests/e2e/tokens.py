"""Kerberos and NTLM tokens as browsers frame them, with a user's name in the place of the ticket."""

from __future__ import annotations

import base64

KRB5 = bytes.fromhex("06092a864886f712010202")
AP_REQ_START = bytes.fromhex("a003020105a10302010e")  # pvno 5, msg-type 14: RFC 4120 section 5.5.1


def _der(tag: int, content: bytes) -> bytes:
    """An element of DER with a short length."""
    assert len(content) < 128
    return bytes([tag, len(content)]) + content


def kerberos_token(user: str) -> str:
    """A token as browsers send it: krb5's AP-REQ (RFC 4121 section 4.1), in which the name stands for the ticket."""
    sequence = _der(0x30, AP_REQ_START + _der(0xA3, user.encode()))
    return base64.b64encode(_der(0x60, KRB5 + b"\x01\x00" + _der(0x6E, sequence))).decode()


def ntlm_token(kind: int, user: str = "") -> str:
    """An NTLM message (MS-NLMP section 2.2) of type 1, 2 or 3."""
    return base64.b64encode(b"NTLMSSP\0" + kind.to_bytes(4, "little") + bytes(24) + user.encode()).decode()


def user_of(token: bytes) -> bytes:
    """The name that the two functions above put into a token."""
    raw = base64.b64decode(token)
    return raw[36:] if raw.startswith(b"NTLMSSP\0") else raw.partition(AP_REQ_START)[2][2:]
