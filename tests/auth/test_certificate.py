"""What is read of certificates, against openssl; the header lines, against RFC 9440's example and readers of XFCC."""

from __future__ import annotations

import re
import ssl
import subprocess
import warnings
from base64 import b64decode
from pathlib import Path
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.auth.certificate import ClientCertificate, IdentityKind, identity_lines
from tests.pki import DAY, HOUR, Authority, Holder, self_signed

ROOT = Authority.root()
USERS = ROOT.intermediate("users")
NAMELESS = ROOT.issue(x509.Name([]), upn="alice@corp")

EXAMPLE = Path(__file__).with_name("rfc9440.pem")
"""RFC 9440 appendix A, Figure 1: leaf, intermediate, root."""

LINE = re.compile(rb"([A-Za-z-]+): ([ -~]+)\r\n")
BYTE_SEQUENCE = re.compile(rb":([A-Za-z0-9+/]*={0,2}):")

PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^",;=]*)(;|\Z)')
"""As Envoy documents it: a value with a separator is in quotes, and a backslash is before a quote inside."""
NAIVE_PAIR = re.compile(r'(\w+)=(".*?(?<!\\)"|[^",;=]*)(;|\Z)')
"""The same by a reader that takes the first quote without a backslash before it for the closing one."""

HOSTILE = [
    "Smith, John",
    'a"b',
    'a";URI=spiffe://admin;X="',
    'a",Hash=00;Subject="CN=root',
    "ends with a backslash\\",
    'backslash and quote\\"',
    "a\r\nX-Forwarded-User: root\r\n\r\n",
    "nul\0byte",
    "Zoë Ångström 山田",
    "\u2028\u0085\x7f\x1b[31m",
    " #spaces ",
    "a+b=c;d<e>f",
]


def name(*values: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in values])


def certificate(holder: Holder) -> ClientCertificate:
    return ClientCertificate.from_chain(holder.chain)


def headers(lines: bytes) -> dict[str, bytes]:
    """Names and values; nothing but whole lines of printable ASCII may be there."""
    found = LINE.findall(lines)
    assert b"".join(b"%b: %b\r\n" % pair for pair in found) == lines
    return {key.decode(): value for key, value in found}


def xfcc(holder: Holder, listener_uri: str | None = None) -> list[tuple[str, str]]:
    """The keys and values of the one element, as both readers see it; values are without their quotes."""
    value = headers(identity_lines("xfcc", certificate(holder), listener_uri))["X-Forwarded-Client-Cert"].decode()
    pairs = PAIR.findall(value)
    assert "".join(f"{key}={content}{end}" for key, content, end in pairs) == value
    assert NAIVE_PAIR.findall(value) == pairs
    return [(key, content[1:-1] if content.startswith('"') else content) for key, content, _ in pairs]


def openssl(holder: Holder, *options: str) -> str:
    """What openssl prints of the leaf."""
    command = ["openssl", "x509", "-inform", "DER", "-noout", *options]
    return subprocess.run(command, input=holder.chain[0], capture_output=True, check=True).stdout.decode().rstrip("\n")


# --- what is read


def test_fields() -> None:
    alice = USERS.issue(name((NameOID.ORGANIZATION_NAME, "Corp"), (NameOID.COMMON_NAME, "alice")), upn="alice@corp")
    read = certificate(alice)
    assert read.chain == alice.chain
    assert read.leaf == alice.chain[0]
    assert (read.subject, read.issuer, read.name) == ("CN=alice,O=Corp", "CN=users", "alice")
    assert read.serial == alice.serial
    assert read.fingerprint.hex(":").upper() == openssl(alice, "-fingerprint", "-sha256").partition("=")[2]
    assert read.not_after == ssl.cert_time_to_seconds(openssl(alice, "-enddate").removeprefix("notAfter="))


def test_issued_names_each_certificate_as_its_revocation_list_does() -> None:
    alice = USERS.issue("alice")
    crls = [USERS.crl(alice), ROOT.crl(USERS)]
    revoked = [(crl.issuer.public_bytes(), entry.serial_number) for crl in crls for entry in crl]
    assert list(certificate(alice).issued[:2]) == revoked
    assert len(certificate(alice).issued) == 3


def test_the_earliest_end_is_that_of_the_whole_chain() -> None:
    brief = ROOT.intermediate("brief", ends=HOUR)
    read = certificate(brief.issue("alice", ends=DAY))
    assert read.earliest_end == brief.certificate.not_valid_after_utc.timestamp() < read.not_after
    other = certificate(USERS.issue("alice", ends=HOUR))
    assert other.earliest_end == other.not_after


@pytest.mark.parametrize(
    ("holder", "expected"),
    [
        (ROOT.issue(name((NameOID.COMMON_NAME, "people"), (NameOID.COMMON_NAME, "alice"))), "alice"),
        (ROOT.issue(name((NameOID.ORGANIZATION_NAME, "Corp"))), "O=Corp"),
        (ROOT.issue(x509.Name([]), uris=["spiffe://corp/alice"], dns=["a.corp"]), "spiffe://corp/alice"),
        (ROOT.issue(x509.Name([]), dns=["a.corp"]), "a.corp"),
        (NAMELESS, f"serial {NAMELESS.serial:x}"),
    ],
    ids=["the last common name", "subject", "URI", "DNS", "serial"],
)
def test_the_name_for_logs(holder: Holder, expected: str) -> None:
    assert certificate(holder).name == expected


def test_it_is_shown_on_one_line() -> None:
    holder = USERS.issue("a\nb\u2028ü")
    shown = repr(certificate(holder))
    until = holder.certificate.not_valid_after_utc
    assert (
        shown == rf"<client certificate 'a\nb\u2028\xfc', serial {holder.serial:x}, until {until:%Y-%m-%dT%H:%M:%SZ}>"
    )


def test_a_name_that_is_too_long_is_a_name() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        long = x509.NameAttribute(NameOID.COMMON_NAME, "x" * 100, _validate=False)
    assert certificate(USERS.issue(x509.Name([long]))).name == "x" * 100


@pytest.mark.parametrize(
    "value",
    [
        b"\x14\x04M\xfcrk",  # Latin-1 in a TeletexString: what it means depends on who reads it
        b"\x13\x04a@bc",  # not in PrintableString's alphabet (X.680 section 41.4)
        b"\x0c\x04M\xffrk",  # not UTF-8
        b"\x03\x04\x00abc",  # bits
    ],
)
def test_a_name_that_cannot_be_read_is_refused(value: bytes) -> None:
    der = USERS.issue("MARK").chain[0].replace(b"\x0c\x04MARK", value)
    with pytest.raises(ValueError, match="cannot be read"):
        ClientCertificate.from_chain([der])


def test_an_alternative_name_that_cannot_be_read_is_refused() -> None:
    """An x400Address, in the place of a DNS name of the same length."""
    der = USERS.issue("alice", dns=["MARK"]).chain[0].replace(b"\x82\x04MARK", b"\xa3\x04MARK")
    with pytest.raises(ValueError, match="cannot be read: x400Address"):
        ClientCertificate.from_chain([der])


def test_something_else_than_a_chain_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        ClientCertificate.from_chain([b"no certificate"])
    with pytest.raises(ValueError, match="without a certificate"):
        ClientCertificate.from_chain([])


# --- the lines


def test_rfc9440_as_in_its_appendix() -> None:
    bodies = re.findall(r"-----BEGIN CERTIFICATE-----([^-]+)-----END", EXAMPLE.read_text())
    leaf, intermediate, root = ("".join(body.split()) for body in bodies)
    chain = [b64decode(each) for each in (leaf, intermediate, root)]
    assert identity_lines("rfc9440", ClientCertificate.from_chain(chain)).decode() == (
        f"Client-Cert: :{leaf}:\r\nClient-Cert-Chain: :{intermediate}:, :{root}:\r\n"
    )


def test_rfc9440_of_a_leaf_alone_has_no_chain() -> None:
    holder = self_signed("alice")
    (value,) = headers(identity_lines("rfc9440", certificate(holder))).values()
    match = BYTE_SEQUENCE.fullmatch(value)
    assert match is not None
    assert b64decode(match[1]) == holder.chain[0]


@pytest.mark.parametrize("kind", ["none", "mint"])
def test_other_kinds_have_no_lines(kind: IdentityKind) -> None:
    assert identity_lines(kind, certificate(USERS.issue("alice")), "spiffe://corp/lb") == b""


@pytest.mark.parametrize("kind", ["none", "rfc9440", "xfcc", "mint"])
def test_a_user_without_a_certificate_has_no_lines(kind: IdentityKind) -> None:
    assert identity_lines(kind, None, "spiffe://corp/lb") == b""


def test_xfcc_has_every_key_in_envoys_order() -> None:
    alice = USERS.issue("alice", uris=["spiffe://corp/alice", "urn:b"], dns=["a.corp", "*.b.corp"], upn="alice@corp")
    found = xfcc(alice, "spiffe://corp/lb")
    assert [pair for pair in found if pair[0] not in {"Cert", "Chain"}] == [
        ("By", "spiffe://corp/lb"),
        ("Hash", openssl(alice, "-fingerprint", "-sha256").partition("=")[2].replace(":", "").lower()),
        ("Subject", "CN=alice"),
        ("URI", "spiffe://corp/alice"),
        ("URI", "urn:b"),
        ("DNS", "a.corp"),
        ("DNS", "*.b.corp"),
    ]
    assert [key for key, _ in found][2:4] == ["Cert", "Chain"]


def test_xfcc_certificates_are_url_encoded_pem() -> None:
    alice = USERS.issue("alice")
    pairs = dict(xfcc(alice))
    pems = [ssl.DER_cert_to_PEM_cert(der) for der in alice.chain]
    assert unquote(pairs["Cert"]) == pems[0] == alice.chain_pem.decode()[: len(pems[0])]
    assert unquote(pairs["Chain"]) == "".join(pems)
    assert not set(pairs["Chain"]) & set("\n+/= ")


def test_xfcc_without_alternative_names_has_an_empty_uri_and_no_by() -> None:
    found = xfcc(USERS.issue("alice"))
    assert [key for key, _ in found] == ["Hash", "Cert", "Chain", "Subject", "URI"]
    assert dict(found)["URI"] == ""


def test_xfcc_of_an_empty_subject() -> None:
    assert dict(xfcc(USERS.issue(x509.Name([]), uris=["urn:a"])))["Subject"] == ""


def test_xfcc_puts_separators_in_quotes_and_encodes_what_no_uri_has() -> None:
    hostile = 'urn:a,b;c=d"e\\f\r\ng h'
    lines = identity_lines("xfcc", certificate(USERS.issue("alice", uris=[hostile], dns=["a;b"])), "urn:x;y").decode()
    assert 'X-Forwarded-Client-Cert: By="urn:x;y";Hash=' in lines
    assert ';URI="urn:a,b;c=d%22e%5Cf%0D%0Ag%20h";DNS="a;b"\r\n' in lines


@pytest.mark.parametrize("value", HOSTILE)
def test_a_subject_is_written_as_openssl_does(value: str) -> None:
    """Envoy asks its OpenSSL for RFC 2253; only the backslash differs, as it says where that is made."""
    subject = name((NameOID.COMMON_NAME, value), (NameOID.EMAIL_ADDRESS, "a@b.c"), (NameOID.SERIAL_NUMBER, "12"))
    holder = USERS.issue(subject)
    expected = openssl(holder, "-subject", "-nameopt", "RFC2253").removeprefix("subject=").replace(r"\\", r"\5C")
    assert dict(xfcc(holder))["Subject"] == expected


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=16)
SUBJECTS = st.lists(
    st.tuples(st.sampled_from([NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.USER_ID]), TEXT),
    max_size=3,
)
IA5 = st.text(st.characters(max_codepoint=0x7F), min_size=1)


@given(SUBJECTS, st.lists(IA5, max_size=2), st.lists(IA5, max_size=2))
def test_whatever_the_names_are_the_lines_parse_back(
    subject: list[tuple[x509.ObjectIdentifier, str]], uris: list[str], dns: list[str]
) -> None:
    holder = USERS.issue(name(*subject), uris=uris, dns=dns)
    pairs = xfcc(holder, uris[0] if uris else None)
    values = [[value for key, value in pairs if key == wanted] for wanted in ("Subject", "URI", "DNS")]
    read = x509.Name.from_rfc4514_string(values[0][0])
    assert [(attribute.oid, attribute.value) for attribute in read] == subject
    assert [unquote(value) for value in values[1]] == [unquote(uri) for uri in uris or [""]]
    assert [unquote(value) for value in values[2]] == [unquote(host) for host in dns]
    headers(identity_lines("rfc9440", certificate(holder)))
