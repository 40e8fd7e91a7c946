from __future__ import annotations

import time

import gssapi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.control.probes.kerberos.tokens import KrbError, TicketKey, krb_error, nt_status, ticket_key
from tests.control.probes.kerberos.peers import HOST, Corp

KRB5 = gssapi.OID.from_int_seq("1.2.840.113554.1.2.2")
SPNEGO = gssapi.OID.from_int_seq("1.3.6.1.5.5.2")


def initiator(corp: Corp, mechanism: gssapi.OID) -> gssapi.SecurityContext:
    corp.realm.add_user("alice", "alice's")
    ccache = corp.realm.kinit("alice")["KRB5CCNAME"]
    return gssapi.SecurityContext(
        name=gssapi.Name(f"HTTP@{HOST}", gssapi.NameType.hostbased_service),
        creds=gssapi.Credentials(usage="initiate", mechs=[mechanism], store={"ccache": ccache}),
        mech=mechanism,
        flags=gssapi.RequirementFlag.mutual_authentication,
        usage="initiate",
    )


def replied(corp: Corp, token: bytes, keytab: object) -> bytes:
    """What an acceptor sends back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5RCACHENAME", "none:")
        credentials = gssapi.Credentials(usage="accept", store={"keytab": str(keytab)})
        return gssapi.SecurityContext(creds=credentials, usage="accept").step(token) or b""


def test_the_version_of_the_services_key(corp: Corp) -> None:
    for _ in range(3):
        corp.rotate()
    token = initiator(corp, KRB5).step()
    assert token is not None
    assert ticket_key(token) == TicketKey(4, 18)


@pytest.mark.parametrize("mechanism", [KRB5, SPNEGO], ids=["krb5", "spnego"])
def test_an_old_key_and_the_time(corp: Corp, mechanism: gssapi.OID) -> None:
    corp.rotate()
    token = initiator(corp, mechanism).step()
    assert token is not None
    error = krb_error(replied(corp, token, corp.keytab))
    assert error is not None
    assert error.code == 44  # KRB_AP_ERR_BADKEYVER
    assert error.time is not None
    assert abs(error.time - time.time()) < 60


def test_a_good_reply_is_no_error(corp: Corp) -> None:
    token = initiator(corp, SPNEGO).step()
    assert token is not None
    assert krb_error(replied(corp, token, corp.keytab)) is None


def test_spnego_that_finds_no_mechanism_sends_no_error() -> None:
    assert krb_error(bytes.fromhex("a1073005a0030a0102")) is None  # NegTokenResp: reject


# GSS-API's framing, KRB-ERROR: error 37 at 2026-11-21 08:52:18 UTC, of HTTP/login.corp.example
SKEWED = bytes.fromhex(
    "607106092a864886f71201020203007e623060a003020105a10302011ea411180f32303236313132313038353231385aa50502030d7814"
    "a603020125a90e1b0c434f52502e4558414d504c45aa253023a003020101a11c301a1b04485454501b126c6f67696e2e636f72702e65"
    "78616d706c65"
)


def test_every_field_that_is_read() -> None:
    assert krb_error(SKEWED) == KrbError(37, 1795251138.882708)


def test_a_time_that_is_none() -> None:
    assert krb_error(SKEWED.replace(b"20261121", b"20261399")) == KrbError(37, None)


@pytest.mark.parametrize("length", range(len(SKEWED)))
def test_what_is_cut_short(length: int) -> None:
    assert krb_error(SKEWED[:length]) is None
    assert ticket_key(SKEWED[:length]) == TicketKey()


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: SKEWED[:40] + tail))
def test_anything(data: bytes) -> None:
    assert krb_error(data) is None or data.startswith((b"\x60", b"\xa1"))
    assert ticket_key(data) == TicketKey() or data.startswith(b"\x60")


@given(st.integers(0, len(SKEWED) - 1), st.integers(0, 255))
def test_a_wrong_byte(position: int, value: int) -> None:
    data = SKEWED[:position] + bytes([value]) + SKEWED[position + 1 :]
    assert isinstance(krb_error(data), KrbError | None)


LOCKED = bytes.fromhex("300f a103020103 a208 0406 340200c00000")
"""KERB-ERROR-DATA of the extended type, with a KERB-EXT-ERROR that begins with STATUS_ACCOUNT_LOCKED_OUT."""


def test_why_windows_refuses_an_account() -> None:
    assert nt_status(LOCKED) == 0xC0000234
    assert nt_status(bytes([0x30, len(LOCKED)]) + LOCKED) == 0xC0000234


def test_why_samba_refuses_an_account() -> None:
    """As Samba 4.17 sends it for a disabled account: the status comes after the account's encryption types."""
    data = bytes.fromhex(
        "304c3033a103020113a22c042a30283026a003020112a1171b15434f52502e4558414d504c457376632d70726f6265a206040400001000"
        "3015a103020103a20e040c720000c00000000001000000"
    )
    assert nt_status(data) == 0xC0000072
    assert all(nt_status(data[:length]) is None for length in range(len(data)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"junk",
        LOCKED[:-1],
        LOCKED.replace(b"\x02\x01\x03", b"\x02\x01\x13"),
        # what Samba 4.17 sends for a locked account: its encryption types
        bytes.fromhex("30333031a103020113a22a042830263024a003020112a1151b1341442e4558414d504c457376632d70726f6265"
                      "a206040400001000"),
    ],
)  # fmt: skip
def test_an_error_that_has_no_such_status(data: bytes) -> None:
    assert nt_status(data) is None
