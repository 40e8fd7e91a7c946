from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproxy.auth.spnego import Challenge, Credential, challenge, classify
from tests.auth.initiators import Legs

NONE, PER_REQUEST, KERBEROS = Credential.NONE, Credential.PER_REQUEST, Credential.KERBEROS
NTLM, CONTINUATION, UNKNOWN = Credential.NTLM, Credential.CONTINUATION, Credential.UNKNOWN


def negotiate(token: bytes) -> bytes:
    return b"Negotiate " + base64.b64encode(token)


# --- tokens of real initiators


def test_a_real_kerberos_token_may_go_anywhere(kerberos: dict[str, Legs]) -> None:
    for exchange in ("krb5", "spnego"):
        assert [classify(negotiate(token)) for token in kerberos[exchange].client] == [KERBEROS]


def test_real_kerberos_in_three_legs_stays(kerberos: dict[str, Legs]) -> None:
    assert [classify(negotiate(token)) for token in kerberos["krb5 dce"].client] == [UNKNOWN, UNKNOWN]
    assert [classify(negotiate(token)) for token in kerberos["spnego dce"].client] == [UNKNOWN, CONTINUATION]


def test_a_server_s_tokens_are_never_taken_for_a_fresh_kerberos_token(kerberos: dict[str, Legs]) -> None:
    tokens = [token for legs in kerberos.values() for token in legs.server]
    assert len(tokens) >= 4
    assert {classify(negotiate(token)) for token in tokens} <= {CONTINUATION, UNKNOWN}


def test_real_ntlm_is_seen_bare_inside_spnego_and_under_either_scheme(ntlm: dict[str, Legs]) -> None:
    bare, wrapped = ntlm["ntlm"], ntlm["negotiate"]
    assert (len(bare.client), len(wrapped.client)) == (2, 2)
    for token in bare.client + bare.server:
        assert classify(b"NTLM " + base64.b64encode(token)) is NTLM
        assert classify(negotiate(token)) is NTLM
    for token in wrapped.client + wrapped.server[:1]:
        assert classify(negotiate(token)) is NTLM
    assert classify(negotiate(wrapped.server[1])) is CONTINUATION  # the last has a MIC only


def test_a_cut_kerberos_token_is_not_complete(kerberos: dict[str, Legs]) -> None:
    for exchange in ("krb5", "spnego"):
        token = kerberos[exchange].client[0]
        assert not [size for size in range(len(token)) if classify(negotiate(token[:size])) is KERBEROS]
        assert classify(negotiate(token + b"\0")) is UNKNOWN


@settings(deadline=None)
@given(data=st.data())
def test_a_damaged_token_never_raises(kerberos: dict[str, Legs], ntlm: dict[str, Legs], data: st.DataObject) -> None:
    every = [token for legs in [*kerberos.values(), *ntlm.values()] for token in legs.client]
    token = bytearray(data.draw(st.sampled_from(every)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(token), 160) - 1))
        token[at] = data.draw(st.integers(0, 255))
    del token[data.draw(st.integers(1, len(token))) :]
    assert classify(negotiate(bytes(token))).is_connection_token


# --- tokens made here, byte by byte, for what no initiator at hand sends


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

MADE = {
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


@pytest.mark.parametrize("name", MADE)
def test_a_token_is_what_its_headers_say(name: str) -> None:
    token, expected = MADE[name]
    assert classify(negotiate(token)) is expected


# --- the header's value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, NONE),
        (b"", UNKNOWN),
        (b"Basic dTpw", PER_REQUEST),
        (b"bAsIc dTpw", PER_REQUEST),
        (b"Bearer ey.J.x", PER_REQUEST),
        (b'Digest username="u", realm="Negotiate"', PER_REQUEST),
        (b"AWS4-HMAC-SHA256 Credential=a/20260101/eu/s3/aws4_request", PER_REQUEST),
        (b"PrivateToken token=abc", PER_REQUEST),
        (b"Basic", PER_REQUEST),
        (b"Basic\tdTpw", UNKNOWN),
        (b"Basic,Negotiate YII=", UNKNOWN),
        (b" Basic dTpw", UNKNOWN),
        (b"SCRAM-SHA-256 data=biws", UNKNOWN),
        (b"Mutual version=1", UNKNOWN),
        (b"Concealed k=x", UNKNOWN),
        (b"ApiKey 123", UNKNOWN),
        (b"NTLM", NTLM),
        (b"ntlm garbage", NTLM),
        (b"Negotiate", UNKNOWN),
        (b"Negotiate ", UNKNOWN),
        (b"negotiate   " + base64.b64encode(TYPE_1), NTLM),
        (b"Negotiate " + base64.b64encode(ap_req()) + b" ", KERBEROS),
        (b"Negotiate " + base64.b64encode(ap_req(11)).rstrip(b"="), UNKNOWN),
        (negotiate(ap_req(700)), KERBEROS),  # a whole number of groups of four
        (negotiate(ap_req(700)) + b"A", UNKNOWN),
        (negotiate(ap_req())[:300] + b"!!!!" + negotiate(ap_req())[304:], UNKNOWN),
        (b"Negotiate " + base64.urlsafe_b64encode(b"\xff" * 90), UNKNOWN),
        (b"Negotiate \r\n" + base64.b64encode(ap_req()), UNKNOWN),
        (b"Negotiate ====", UNKNOWN),
        (b"\xff\xfe\0", UNKNOWN),
    ],
    ids=repr,
)
def test_a_value_is_its_scheme_and_its_token(value: bytes | None, expected: Credential) -> None:
    assert classify(value) is expected


@given(st.binary(max_size=900))
def test_any_bytes_under_negotiate_lean_on_the_connection(token: bytes) -> None:
    assert classify(negotiate(token)).is_connection_token
    assert classify(b"Negotiate " + token).is_connection_token


@given(st.binary(max_size=60))
def test_any_value_is_classified(value: bytes) -> None:
    assert classify(value) is not NONE


def test_which_credentials_are_connection_tokens() -> None:
    assert {credential for credential in Credential if not credential.is_connection_token} == {NONE, PER_REQUEST}


# --- challenges

TOKEN = base64.b64encode(ap_req())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], Challenge.NONE),
        ([b""], Challenge.NONE),
        ([b'Basic realm="x"'], Challenge.NONE),
        ([b'Bearer error="invalid_token"', b'Digest realm="x", nonce="y"'], Challenge.NONE),
        ([b"Negotiate"], Challenge.OFFER),
        ([b"NEGOTIATE"], Challenge.OFFER),
        ([b"NTLM"], Challenge.OFFER),
        ([b"Negotiate", b"NTLM"], Challenge.OFFER),
        ([b"Negotiate, NTLM"], Challenge.OFFER),
        ([b'Basic realm="x"', b"ntlm"], Challenge.OFFER),
        ([b'Basic realm="x",NTLM'], Challenge.OFFER),
        ([b'Basic realm="x, Negotiate", NTLM'], Challenge.OFFER),
        ([b'Basic realm="\\"", Negotiate'], Challenge.OFFER),
        ([b'Basic realm="unended, Negotiate'], Challenge.OFFER),
        ([b'Negotiate realm="x"'], Challenge.OFFER),
        ([b"Negotiate realm=x"], Challenge.OFFER),
        ([b'Negotiate, Basic realm="x"'], Challenge.OFFER),
        ([b'Basic realm="Negotiate.corp"'], Challenge.OFFER),  # seen too often, and safe
        ([b"Negotiate " + TOKEN], Challenge.TOKEN),
        ([b"Negotiate   " + TOKEN + b" "], Challenge.TOKEN),
        ([b"negotiate\t" + TOKEN], Challenge.TOKEN),
        ([b"NTLM TlRMTVNTUAACAAAA"], Challenge.TOKEN),
        ([b"Negotiate", b"NTLM TlRMTVNTUAACAAAA"], Challenge.TOKEN),
        ([b'Basic realm="x"', b"Negotiate oQcwBaADCgEB"], Challenge.TOKEN),
        ([b'Basic realm="x", Negotiate oQcwBaADCgEB'], Challenge.TOKEN),
        ([b'Negotiate oQcwBaADCgEB, Basic realm="x"'], Challenge.TOKEN),
        ([b"Negotiate,NTLM TlRMTVNTUAACAAAA"], Challenge.TOKEN),
    ],
    ids=repr,
)
def test_a_challenge_is_never_missed(values: list[bytes], expected: Challenge) -> None:
    assert challenge(values) is expected


@given(before=st.binary(max_size=40), scheme=st.sampled_from([b"Negotiate", b"ntlm", b"NTLM"]), after=st.binary())
def test_no_neighbours_hide_a_scheme(before: bytes, scheme: bytes, after: bytes) -> None:
    assert challenge([b"Basic", before + scheme + after]) is not Challenge.NONE


KRB_ERROR = der(0x60, b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02", b"\x03\x00", der(0x7E, b"error"))


def answer(state: int, token: bytes = b"") -> bytes:
    """SPNEGO's NegTokenResp (RFC 4178 section 4.2.2)."""
    fields = [der(0xA0, der(0x0A, bytes((state,))))]
    if token:
        fields.append(der(0xA2, der(0x04, token)))
    return der(0xA1, der(0x30, *fields))


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (answer(2), Challenge.OFFER),
        (answer(2, KRB_ERROR), Challenge.OFFER),  # mod_auth_gssapi's 401 to a ticket for another key
        (KRB_ERROR, Challenge.OFFER),
        (answer(1, b"NTLMSSP\0\x02"), Challenge.TOKEN),  # accept-incomplete
        (answer(3), Challenge.TOKEN),  # request-mic
        (answer(0), Challenge.TOKEN),
        (der(0xA1, b"\x30\x00"), Challenge.TOKEN),
        (b"NTLMSSP\0\x02\0\0\0", Challenge.TOKEN),
        (b"garbage", Challenge.TOKEN),
    ],
)
def test_a_token_that_only_refuses_opens_no_leg(token: bytes, expected: Challenge) -> None:
    assert challenge([negotiate(token)]) is expected
    assert challenge([b"Basic realm=x", negotiate(token)]) is expected
