"""The tokens themselves: test_spnego.py has the headers that they come in, and tokens of real initiators."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.auth.gss_token import is_refusal, kind
from lbproxy.auth.spnego import Credential
from tests.auth.tokens import KRB5_OID, MADE, TYPE_1, ap_req, der, init, response

NUMBERS = (Credential.UNKNOWN, Credential.KERBEROS, Credential.NTLM, Credential.CONTINUATION)
UNKNOWN, KERBEROS, NTLM, CONTINUATION = range(4)


def seen(token: bytes) -> int:
    return kind(base64.b64encode(token), 0)


@pytest.mark.parametrize("name", MADE)
def test_a_token_has_the_number_of_what_it_is(name: str) -> None:
    token, expected = MADE[name]
    assert NUMBERS[seen(token)] is expected


def test_a_token_is_read_where_it_stands_between_spaces() -> None:
    text = base64.b64encode(ap_req())
    assert kind(b"Negotiate  " + text + b" ", len(b"Negotiate")) == KERBEROS
    assert kind(b"Negotiate" + text, len(b"Negotiate")) == KERBEROS
    assert kind(b"Negotiate\t" + text, len(b"Negotiate")) == UNKNOWN


@pytest.mark.parametrize("value", [b"", b" ", b"    ", b"=", b"====", b"AA", b"AA==", b"A===", b"=AAA", b"\xff" * 4])
def test_what_is_no_token_is_unknown(value: bytes) -> None:
    assert kind(value, 0) == UNKNOWN
    assert kind(value, len(value)) == UNKNOWN
    assert not is_refusal(value)


@pytest.mark.parametrize(
    "length",
    [
        b"\x80",  # the indefinite length
        b"\x81",  # nothing follows
        b"\x84\xff\xff\xff\xff",
        b"\x88" + b"\xff" * 8,  # negative, to those who take it for a signed one
        b"\x89\x01" + b"\0" * 7 + b"\x05",  # 5, to those who drop what does not fit
        b"\xff" + b"\xff" * 127,
    ],
    ids=bytes.hex,
)
@pytest.mark.parametrize("tag", [0x60, 0xA1])
def test_a_length_is_never_taken_for_a_smaller_one(tag: int, length: bytes) -> None:
    for rest in (b"", b"\x30\x03\xa0\x01\x00", ap_req()[2:], bytes(200)):
        assert seen(bytes((tag,)) + length + rest) == UNKNOWN


def test_a_length_may_be_spelled_with_more_bytes_than_it_needs() -> None:
    inner = KRB5_OID + b"\1\0" + der(0x6E, der(0x30, bytes.fromhex("a003020105a10302010e") + bytes(40)))
    assert len(inner) < 128
    for size in (1, 2, 8, 20):
        assert seen(bytes((0x60, 0x80 + size)) + len(inner).to_bytes(size) + inner) == KERBEROS


def test_each_element_ends_where_the_one_around_it_does() -> None:
    for token in (ap_req(40), init(KRB5_OID, token=ap_req(40)), response(der(0xA2, der(0x04, TYPE_1)))):
        assert seen(token) in (KERBEROS, NTLM)
        assert seen(token + b"\0") == UNKNOWN
        assert seen(token[:-1]) == UNKNOWN


def test_a_token_that_is_cut_never_reads_on() -> None:
    for token, _ in MADE.values():
        for size in range(min(len(token), 250)):
            assert seen(token[:size]) != KERBEROS or token[:size] == token
            is_refusal(base64.b64encode(token[:size]))


@given(st.sampled_from([token for token, _ in MADE.values() if token]), st.data())
def test_a_damaged_token_is_one_of_the_four(token: bytes, data: st.DataObject) -> None:
    damaged = bytearray(token)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, min(len(token), 160) - 1))] = data.draw(st.integers(0, 255))
    assert seen(bytes(damaged)) in range(4)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (response(der(0xA0, b"\x0a\1\2")), True),
        (response(der(0xA0, b"\x0a\1\1")), False),
        (der(0x60, KRB5_OID, b"\3\0", bytes(30)), True),
        (ap_req(), False),
        (TYPE_1, False),
    ],
)
def test_a_refusal_is_a_reject_or_an_error_of_kerberos(token: bytes, expected: bool) -> None:
    assert is_refusal(base64.b64encode(token)) is expected
