from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.auth.spnego import Challenge, Credential, challenge, classify
from tests.auth.initiators import Legs
from tests.auth.tokens import MADE, TYPE_1, ap_req, der

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


@given(data=st.data())
def test_a_damaged_token_never_raises(kerberos: dict[str, Legs], ntlm: dict[str, Legs], data: st.DataObject) -> None:
    every = [token for legs in [*kerberos.values(), *ntlm.values()] for token in legs.client]
    token = bytearray(data.draw(st.sampled_from(every)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(token), 160) - 1))
        token[at] = data.draw(st.integers(0, 255))
    del token[data.draw(st.integers(1, len(token))) :]
    assert classify(negotiate(bytes(token))).is_connection_token


# --- tokens made byte by byte, for what no initiator at hand sends


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


def test_a_token_that_opens_like_another_is_judged_by_its_own_length() -> None:
    """What was understood of an opening is remembered."""
    token = ap_req(700)
    for size, expected in ((len(token), KERBEROS), (len(token) - 3, UNKNOWN), (len(token), KERBEROS)):
        assert classify(negotiate(token[:size])) is expected
