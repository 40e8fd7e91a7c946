"""Tokens made byte by byte, for what no initiator at hand sends."""

from __future__ import annotations

from lbproxy.auth.spnego import Credential

KERBEROS, NTLM = Credential.KERBEROS, Credential.NTLM
CONTINUATION, UNKNOWN = Credential.CONTINUATION, Credential.UNKNOWN


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content


KRB5_OID = bytes.fromhex("06092a864886f712010202")
MICROSOFT_OID = bytes.fromhex("06092a864882f712010202")
NTLM_OID = bytes.fromhex("060a2b06010401823702020a")
NEGOEX_OID = bytes.fromhex("060a2b06010401823702021e")
SPNEGO_OID = bytes.fromhex("06062b0601050502")
FLAGS = der(0xA1, bytes.fromhex("03020600"))
MIC = der(0xA3, der(0x04, bytes(16)))
TYPE_1 = b"NTLMSSP\0\1\0\0\0" + bytes(28)


def ap_req(size: int = 700, token_id: bytes = b"\1\0", message_type: int = 14) -> bytes:
    fields = bytes.fromhex("a003020105a10302") + bytes([1, message_type]) + bytes(size)
    return der(0x60, KRB5_OID, token_id, der(0x6E, der(0x30, fields)))


def init(*mechanisms: bytes, token: bytes | None = None, flags: bytes = b"", mic: bytes = b"") -> bytes:
    mech_token = der(0xA2, der(0x04, token)) if token is not None else b""
    fields = der(0xA0, der(0x30, *mechanisms)) + flags + mech_token + mic
    return der(0x60, SPNEGO_OID, der(0xA0, der(0x30, fields)))


def response(*fields: bytes) -> bytes:
    return der(0xA1, der(0x30, *fields))


def init_cut_inside(size: int) -> bytes:
    """The outer lengths are true; those of the mechToken promise `size` bytes more than there are."""
    fields = der(0xA0, der(0x30, KRB5_OID)) + der(0xA2, der(0x04, ap_req()))[:-size]
    return der(0x60, SPNEGO_OID, der(0xA0, der(0x30, fields)))


ACCEPT_INCOMPLETE = der(0xA0, b"\x0a\1\1")
WINDOWS = (MICROSOFT_OID, KRB5_OID, NEGOEX_OID, NTLM_OID)

MADE: dict[str, tuple[bytes, Credential]] = {
    "krb5": (ap_req(), KERBEROS),
    "krb5 of 64 KB": (ap_req(48_000), KERBEROS),
    "krb5 that is small": (ap_req(10), KERBEROS),
    "krb5 AP-REP": (ap_req(token_id=b"\2\0"), UNKNOWN),
    "krb5 user-to-user": (ap_req(token_id=b"\4\0"), UNKNOWN),
    "krb5 that says AP-REQ and is not": (ap_req(message_type=15), UNKNOWN),
    "krb5 without framing": (ap_req()[17:], UNKNOWN),
    "spnego krb5": (init(KRB5_OID, token=ap_req()), KERBEROS),
    "spnego as Windows sends it": (init(*WINDOWS, token=ap_req(9_000), mic=b""), KERBEROS),
    "spnego with flags and MIC": (init(*WINDOWS, token=ap_req(), flags=FLAGS, mic=MIC), KERBEROS),
    "spnego without token": (init(KRB5_OID), CONTINUATION),
    "spnego without token but with MIC": (init(KRB5_OID, flags=FLAGS, mic=MIC), CONTINUATION),
    "spnego with an empty token": (init(KRB5_OID, token=b""), UNKNOWN),
    "spnego NTLM without token": (init(NTLM_OID), CONTINUATION),
    "spnego NTLM": (init(NTLM_OID, token=TYPE_1), NTLM),
    "spnego NTLM as the guess of a list": (init(*WINDOWS, token=TYPE_1), NTLM),
    "spnego krb5 that is not first": (init(NTLM_OID, KRB5_OID, token=ap_req()), UNKNOWN),
    "spnego NEGOEX": (init(NEGOEX_OID, *WINDOWS, token=b"NEGOEXTS" + bytes(90)), UNKNOWN),
    "spnego of no mechanism": (init(token=ap_req()), UNKNOWN),
    "spnego with so many mechanisms that the token is out of sight": (init(*[KRB5_OID] * 60, token=ap_req()), UNKNOWN),
    "response": (response(ACCEPT_INCOMPLETE, der(0xA2, der(0x04, b"leg"))), CONTINUATION),
    "response with krb5": (response(der(0xA2, der(0x04, ap_req()))), CONTINUATION),
    "response with nothing": (response(), CONTINUATION),
    "response with a state only": (response(ACCEPT_INCOMPLETE), CONTINUATION),
    "response with NTLM": (response(ACCEPT_INCOMPLETE, der(0xA1, NTLM_OID), der(0xA2, der(0x04, TYPE_1)), MIC), NTLM),
    "type 1": (TYPE_1, NTLM),
    "nothing but NTLM's name": (b"NTLMSSP\0", NTLM),
    "almost NTLM's name": (b"NTLMSSP\1\1\0\0", UNKNOWN),
    "spnego krb5 that is cut inside": (init_cut_inside(1), UNKNOWN),
    "indefinite length": (b"\xa1\x80\x30\x7e" + bytes(126), UNKNOWN),
    "a field that is longer than what it is in": (response(b"\xa0\x04\x0a\1\1"), UNKNOWN),
    "a field that is cut after its tag": (response(b"\xa2"), UNKNOWN),
    "a length of 127 bytes": (b"\x60\xff" + bytes(400), UNKNOWN),
    "a length that is cut": (b"\x60\x84\0", UNKNOWN),
    "a tag alone": (b"\x60", UNKNOWN),
    "a length beyond the end": (b"\x60\x84\xff\xff\xff\xff" + bytes(90), UNKNOWN),
    "another mechanism": (der(0x60, NTLM_OID, bytes(90)), UNKNOWN),
    "zeros": (bytes(100), UNKNOWN),
    "nothing": (b"", UNKNOWN),
}
"""The token, and what its headers say that it is."""
