"""The binding of real certificates, against openssl's own digest."""

from __future__ import annotations

import datetime
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from lbproxy.auth.channel_bindings import Protection, compare, server_end_point


def certificate(algorithm: hashes.HashAlgorithm | None, name: str = "login.corp.example") -> bytes:
    """A self-signed certificate in DER whose signature uses `algorithm`; None: Ed25519."""
    key = ec.generate_private_key(ec.SECP256R1()) if algorithm else ed25519.Ed25519PrivateKey.generate()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)  # type: ignore[arg-type]  # any of its hashes


@pytest.mark.parametrize(
    ("algorithm", "name"), [(hashes.SHA256(), "sha256"), (hashes.SHA384(), "sha384"), (hashes.SHA512(), "sha512")]
)
def test_it_is_the_digest_of_the_certificate_by_its_own_hash(algorithm: hashes.HashAlgorithm, name: str) -> None:
    der = certificate(algorithm)
    openssl = subprocess.run(["openssl", "dgst", f"-{name}", "-binary"], input=der, capture_output=True, check=True)
    assert server_end_point(der) == openssl.stdout


def test_a_signature_without_a_hash_has_no_binding() -> None:
    assert server_end_point(certificate(None)) is None


def test_a_weak_hash_is_replaced() -> None:
    """openssl still signs with SHA-1; the binding must be SHA-256's (RFC 5929 section 4.1)."""
    make = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -sha1 "
        "-subj /CN=old -days 1 -outform DER"
    )
    der = subprocess.run(make.split(), capture_output=True, check=True).stdout
    digest = subprocess.run(["openssl", "dgst", "-sha256", "-binary"], input=der, capture_output=True, check=True)
    assert server_end_point(der) == digest.stdout


def test_the_same_certificate_on_both_hops_works() -> None:
    der = certificate(hashes.SHA256())
    assert compare(der, der) is Protection.WORKS


def test_another_certificate_for_the_same_name_does_not() -> None:
    assert compare(certificate(hashes.SHA256()), certificate(hashes.SHA256())) is Protection.CANNOT


def test_an_undefined_binding_is_said_so() -> None:
    assert compare(certificate(hashes.SHA256()), certificate(None)) is Protection.UNDEFINED


def test_something_else_than_a_certificate_is_an_error() -> None:
    with pytest.raises(ValueError, match="asn1"):
        server_end_point(b"no certificate")
