"""Minted certificates: whom they name, how long they last, which are kept; and openssl's word on them."""

from __future__ import annotations

import subprocess
import time
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.auth.certificate import ClientCertificate
from lbproxy.auth.mint import CACHE_SIZE, CLOCK_SKEW, Mint, Minted, MintedRecord, MintError
from tests.pki import DAY, HOUR, Authority, Holder, der, name, pem, self_signed

LIFETIME = 600.0

ROOT = Authority.root()
USERS = ROOT.intermediate("users")
CA = Authority.root("mint", path_length=0)
ALICE = USERS.issue("alice", upn="alice@corp.example")


@pytest.fixture
def mint() -> Mint:
    return Mint(CA.certificate, CA.key, LIFETIME)


@pytest.fixture
def now() -> float:
    """One time for a whole test; the clock's, since openssl looks at that too."""
    return time.time()


def user(holder: Holder) -> ClientCertificate:
    return ClientCertificate.from_chain(holder.chain)


def leaf(minted: Minted) -> x509.Certificate:
    return x509.load_pem_x509_certificates(minted.certificate_pem)[0]


def starts(certificate: x509.Certificate) -> float:
    return certificate.not_valid_before_utc.timestamp()


def ends(certificate: x509.Certificate) -> float:
    return certificate.not_valid_after_utc.timestamp()


# --- what it is


def verify(minted: Minted, ca: x509.Certificate, directory: Path, *options: str) -> str:
    """What openssl says, in the place of a connector that trusts the mint's CA only; "" if all is well."""
    trusted, shown = directory / "ca.pem", directory / "minted.pem"
    trusted.write_bytes(pem(ca))
    shown.write_bytes(minted.certificate_pem)
    command = ["openssl", "verify", "-x509_strict", *options, "-CAfile", str(trusted), str(shown)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_openssl_accepts_it_for_a_client_and_for_nothing_else(mint: Mint, now: float, tmp_path: Path) -> None:
    minted = mint.mint(user(ALICE), now)
    assert verify(minted, CA.certificate, tmp_path, "-purpose", "sslclient") == ""
    assert "unsuitable certificate purpose" in verify(minted, CA.certificate, tmp_path, "-purpose", "sslserver")
    late = ["-purpose", "sslclient", "-attime", str(int(minted.expires) + 1)]
    assert "certificate has expired" in verify(minted, CA.certificate, tmp_path, *late)


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["P-384", "RSA", "Ed25519"],
)
def test_openssl_accepts_it_from_a_ca_with_any_key(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, now: float, tmp_path: Path
) -> None:
    ca = authority(key)
    minted = Mint(ca, key, LIFETIME).mint(user(ALICE), now)
    assert verify(minted, ca, tmp_path, "-purpose", "sslclient") == ""


def authority(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> x509.Certificate:
    """A root with this key, and with a subjectKeyIdentifier that is no hash of it."""
    since = datetime.now(UTC) - timedelta(hours=1)
    own = x509.SubjectKeyIdentifier(b"not a hash")
    return (
        x509.CertificateBuilder()
        .subject_name(name("mint"))
        .issuer_name(name("mint"))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(since)
        .not_valid_after(since + timedelta(days=1))
        .add_extension(own, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own), critical=False)
        .add_extension(CA.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value, critical=True)
        .add_extension(CA.certificate.extensions.get_extension_for_class(x509.KeyUsage).value, critical=True)
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )


def test_it_comes_with_its_ca_and_its_key(mint: Mint, now: float) -> None:
    minted = mint.mint(user(ALICE), now)
    certificate, ca = x509.load_pem_x509_certificates(minted.certificate_pem)
    key = load_pem_private_key(minted.key_pem, None)
    assert ca == CA.certificate
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert key.public_key() == certificate.public_key()


def test_its_profile(mint: Mint, now: float) -> None:
    certificate = leaf(mint.mint(user(ALICE), now))
    found = {extension.oid._name: extension for extension in certificate.extensions}
    assert found["keyUsage"].value == ALICE.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert found["extendedKeyUsage"].value == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    assert found["basicConstraints"].value == x509.BasicConstraints(ca=False, path_length=None)
    assert {key for key, extension in found.items() if extension.critical} == {"basicConstraints", "keyUsage"}
    own = CA.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority_key = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)
    assert found["authorityKeyIdentifier"].value == authority_key


def test_serial_numbers_and_keys_are_never_the_same(now: float) -> None:
    first, second = (Mint(CA.certificate, CA.key, LIFETIME).mint(user(ALICE), now) for _ in range(2))
    assert leaf(first).serial_number != leaf(second).serial_number
    assert leaf(first).serial_number.bit_length() > 64  # as many random bits as the CA/Browser Forum asks for
    assert first.key_pem != second.key_pem


def test_nothing_secret_is_shown(mint: Mint, now: float) -> None:
    minted = mint.mint(user(ALICE), now)
    assert repr(minted) == f"Minted(expires={minted.expires})"
    assert repr(mint) == "<mint of 'CN=mint', 1 kept>"


# --- whom it names

TEXTS = {
    _ASN1Type.UTF8String: st.characters(exclude_categories=["Cs"]),
    _ASN1Type.BMPString: st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF),
    _ASN1Type.UniversalString: st.characters(exclude_categories=["Cs"]),
    _ASN1Type.PrintableString: st.sampled_from("abcXYZ012 '()+,-./:=?"),
    _ASN1Type.IA5String: st.characters(max_codepoint=0x7F),
    _ASN1Type.T61String: st.characters(max_codepoint=0x7F),
}
OIDS = st.sampled_from([NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")])


@st.composite
def attributes(draw: st.DrawFn) -> x509.NameAttribute[str]:
    kind = draw(st.sampled_from(list(TEXTS)))
    return x509.NameAttribute(draw(OIDS), draw(st.text(TEXTS[kind], min_size=1, max_size=16)), kind)


NAMES = st.lists(
    st.lists(attributes(), min_size=1, max_size=2, unique=True).map(x509.RelativeDistinguishedName),
    min_size=1,
    max_size=3,
).map(x509.Name)


@given(NAMES)
def test_the_subject_is_the_users_byte_for_byte(subject: x509.Name) -> None:
    alice = USERS.issue(subject)
    minted = leaf(Mint(CA.certificate, CA.key, LIFETIME).mint(user(alice), time.time()))
    encoded = subject.public_bytes()
    assert encoded in der(alice.certificate)
    assert encoded in der(minted)
    assert minted.subject == subject


def test_a_subject_that_is_too_long_is_no_less_the_users(mint: Mint, now: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        long = x509.NameAttribute(NameOID.COMMON_NAME, "x" * 100, _validate=False)
    minted = mint.mint(user(USERS.issue(x509.Name([long]))), now)
    assert x509.Name([long]).public_bytes() in der(leaf(minted))


@pytest.mark.parametrize(("subject", "critical"), [(name("alice"), False), (x509.Name([]), True)])
def test_the_alternative_names_are_the_users(subject: x509.Name, critical: bool, mint: Mint, now: float) -> None:
    others = [
        x509.RFC822Name("alice@corp.example"),
        x509.DirectoryName(name("a,b\r\nc")),
        x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x02\x01\x05"),
    ]
    alice = USERS.issue(subject, upn="älice@corp", dns=["a\r\nb"], uris=["spiffe://corp/a"], names=others)
    minted = leaf(mint.mint(user(alice), now))
    wanted = alice.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert minted.extensions.get_extension_for_class(x509.SubjectAlternativeName) == wanted
    assert wanted.critical is critical
    assert wanted.value.public_bytes() in der(alice.certificate)
    assert wanted.value.public_bytes() in der(minted)


def test_criticality_follows_the_subject_whatever_the_users_ca_did(mint: Mint, now: float) -> None:
    """RFC 9440's example has a critical extension beside a subject."""
    chain = x509.load_pem_x509_certificates(Path(__file__).with_name("rfc9440.pem").read_bytes())
    assert chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).critical
    then = starts(chain[0]) + 60
    ca = Authority.root("mint", starts=timedelta(seconds=then - now - 60))
    minted = leaf(Mint(ca.certificate, ca.key, LIFETIME).mint(ClientCertificate.from_chain([*map(der, chain)]), then))
    assert not minted.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


def test_without_alternative_names_there_are_none(mint: Mint, now: float) -> None:
    found = leaf(mint.mint(user(USERS.issue("alice")), now)).extensions
    assert x509.SubjectAlternativeName.oid not in {extension.oid for extension in found}


def test_a_certificate_that_names_nobody_is_not_followed(mint: Mint, now: float) -> None:
    with pytest.raises(MintError, match="names nobody"):
        mint.mint(user(USERS.issue(x509.Name([]))), now)


# --- how long it lasts


SPANS = [timedelta(minutes=2), HOUR, DAY]


@pytest.mark.parametrize(("users_end", "chain_end", "ca_end", "lifetime"), list(product(SPANS, repeat=4)))
def test_it_outlives_nothing(
    users_end: timedelta, chain_end: timedelta, ca_end: timedelta, lifetime: timedelta, now: float
) -> None:
    above = ROOT.intermediate("users", ends=chain_end)
    alice, ca = above.issue("alice", ends=users_end), Authority.root("mint", ends=ca_end)
    minted = Mint(ca.certificate, ca.key, lifetime.total_seconds()).mint(user(alice), now)
    limits = [*map(ends, (alice.certificate, above.certificate, ca.certificate)), now + lifetime.total_seconds()]
    assert ends(leaf(minted)) == minted.expires == int(min(limits))


def test_it_starts_before_now_for_a_clock_that_is_late(mint: Mint, now: float) -> None:
    assert starts(leaf(mint.mint(user(ALICE), now))) == int(now - CLOCK_SKEW)


def test_it_never_starts_before_the_users(mint: Mint, now: float) -> None:
    alice = USERS.issue("alice", starts=timedelta(seconds=-30))
    assert starts(leaf(mint.mint(user(alice), now))) == starts(alice.certificate) > now - CLOCK_SKEW


def test_the_last_second_of_a_user(mint: Mint) -> None:
    alice = user(ALICE)
    assert mint.mint(alice, alice.not_after - 0.5).expires == alice.not_after
    with pytest.raises(MintError, match="has expired"):
        mint.mint(alice, alice.not_after)


def test_a_chain_that_has_expired(mint: Mint, now: float) -> None:
    expired = ROOT.intermediate("users", starts=-2 * DAY, ends=-DAY)
    with pytest.raises(MintError, match="that it rests on, has expired"):
        mint.mint(user(expired.issue("alice")), now)


def test_a_user_whose_time_has_not_come(mint: Mint, now: float) -> None:
    with pytest.raises(MintError, match="not valid yet"):
        mint.mint(user(USERS.issue("alice", starts=HOUR)), now)


@pytest.mark.parametrize(("since", "until"), [(-2 * DAY, -DAY), (HOUR, DAY)])
def test_a_ca_that_is_not_valid_now(since: timedelta, until: timedelta, now: float) -> None:
    ca = Authority.root("mint", starts=since, ends=until)
    with pytest.raises(MintError, match="CA certificate is not valid now"):
        Mint(ca.certificate, ca.key, LIFETIME).mint(user(ALICE), now)


# --- which are kept


def test_one_user_certificate_has_one_minted_one(mint: Mint, now: float) -> None:
    first = mint.mint(user(ALICE), now)
    assert mint.mint(user(ALICE), now + LIFETIME / 2 - 1) is first
    assert mint.mint(user(USERS.issue("alice")), now) is not first


def test_it_is_made_anew_when_half_of_its_life_is_over(mint: Mint, now: float) -> None:
    first = mint.mint(user(ALICE), now)
    second = mint.mint(user(ALICE), now + LIFETIME / 2 + 1)
    assert second.expires == int(now + LIFETIME * 1.5 + 1)
    assert first.key_pem != second.key_pem
    assert mint.mint(user(ALICE), now + LIFETIME / 2 + 2) is second


def test_it_is_kept_to_its_end_when_a_new_one_could_not_last_longer(mint: Mint, now: float) -> None:
    alice = user(USERS.issue("alice", ends=timedelta(minutes=2)))
    assert mint.mint(alice, now) is mint.mint(alice, alice.not_after - 1)


def test_it_is_not_used_for_the_same_certificate_in_a_chain_that_ends_sooner(mint: Mint, now: float) -> None:
    alice = user(ALICE)
    first = mint.mint(alice, now)
    sooner = replace(alice, earliest_end=first.expires - 60)
    assert mint.mint(sooner, now).expires == sooner.earliest_end


def test_those_used_last_are_kept(mint: Mint, now: float) -> None:
    alice = user(ALICE)
    crowd = [replace(alice, fingerprint=number.to_bytes(32)) for number in range(CACHE_SIZE + 1)]
    first, second = (mint.mint(each, now) for each in crowd[:2])
    for each in crowd[2:CACHE_SIZE]:
        mint.mint(each, now)
    assert mint.mint(crowd[0], now) is first  # and so the second is the one that was used longest ago
    mint.mint(crowd[CACHE_SIZE], now)
    assert repr(mint) == f"<mint of 'CN=mint', {CACHE_SIZE} kept>"
    assert mint.mint(crowd[0], now) is first
    assert mint.mint(crowd[1], now) is not second


def test_another_mint_of_the_same_ca_goes_on_with_them(mint: Mint, now: float) -> None:
    told: list[MintedRecord] = []
    mint.on_minted.append(told.append)
    minted = [mint.mint(user(holder), now) for holder in (ALICE, USERS.issue("bob"), ALICE)]
    assert len(told) == 2
    assert [each["user"] for each in mint.minted_records()] == [each["user"] for each in reversed(told)]
    other = Mint(CA.certificate, CA.key, LIFETIME)
    for minted_record in told:
        other.remember(minted_record)
    assert other.mint(user(ALICE), now) == minted[0]
    later = now + LIFETIME / 2 + 1
    assert other.mint(user(ALICE), later) != minted[0]


def test_what_another_ca_has_made_is_forgotten(mint: Mint, now: float) -> None:
    mint.mint(user(ALICE), now)
    other = Mint(USERS.certificate, USERS.key, LIFETIME)
    other.remember(mint.minted_records()[0])
    assert other.minted_records() == []


# --- which CA can mint

NO_ISSUER = ROOT.intermediate("signs lists only", key_cert_sign=False)
PLAIN = self_signed("has no extension for authorities")
X25519 = x25519.X25519PrivateKey.generate()


@pytest.mark.parametrize(
    ("ca", "key", "problem"),
    [
        (CA, ROOT.key, "key is not that of its CA certificate"),
        (CA, X25519, "of a kind that cannot sign"),
        (ALICE, ALICE.key, "basicConstraints has CA:FALSE"),
        (NO_ISSUER, NO_ISSUER.key, "keyUsage has no keyCertSign"),
        (PLAIN, PLAIN.key, "it has no basicConstraints"),
    ],
    ids=["another key", "X25519", "a leaf", "lists only", "no extension"],
)
def test_a_ca_that_cannot_mint(ca: Holder, key: PrivateKeyTypes, problem: str) -> None:
    with pytest.raises(MintError, match=problem):
        Mint(ca.certificate, key, LIFETIME)


def test_a_lifetime_that_x509_cannot_express() -> None:
    with pytest.raises(MintError, match="a second at least"):
        Mint(CA.certificate, CA.key, 0.9)
