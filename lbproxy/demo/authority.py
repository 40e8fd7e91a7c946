"""A throwaway certification authority: server certificates, and client certificates of users.

Keys are EC P-256, as RFC 8446 section 9.1 makes every TLS 1.3 peer accept. Key files are readable by their owner only.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = timedelta(days=30)
_CLOCK_SKEW = timedelta(hours=1)  # a client whose clock is late still accepts a certificate made now


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates into `directory`; its own are `ca.pem` and `ca.key` there."""

    def __init__(self, directory: Path, name: str = "lbproxy demo CA") -> None:
        self.directory = directory
        self._name = _common_name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        usage = _key_usage(key_cert_sign=True, crl_sign=True)
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        builder = self._builder(self._name, self._key.public_key(), constraints, usage)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.pair = self._issue("ca", builder, self._key)

    def __repr__(self) -> str:
        return f"<Authority {self._name.rfc4514_string()} in {self.directory}>"

    def server(self, names: Iterable[str], file_name: str = "server", also_client: bool = False) -> Pair:
        """A server certificate for DNS names and IP addresses; the first is its common name too.

        also_client: it may be shown to another server.
        """
        names = list(names)
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if also_client else [])]
        return self._leaf(file_name, names[0], usages, alternatives)

    def user(self, name: str) -> Pair:
        """A client certificate whose subject is CN=`name`, in files named after it."""
        return self._leaf(name, name, [ExtendedKeyUsageOID.CLIENT_AUTH])

    def _leaf(
        self, file_name: str, name: str, usages: list[x509.ObjectIdentifier], *extensions: x509.ExtensionType
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(
            _common_name(name),
            key.public_key(),
            x509.BasicConstraints(ca=False, path_length=None),
            _key_usage(digital_signature=True),
            *extensions,
        ).add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        return self._issue(file_name, builder, key)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *extensions: x509.ExtensionType
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _CLOCK_SKEW)
            .not_valid_after(now + _LIFETIME)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        for extension in extensions:
            # RFC 5280 section 4.2.1.6: the alternative name is critical only when the subject is empty.
            critical = not isinstance(extension, x509.SubjectAlternativeName)
            builder = builder.add_extension(extension, critical=critical)
        return builder

    def _issue(self, file_name: str, builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> Pair:
        pair = Pair(self.directory / f"{file_name}.pem", self.directory / f"{file_name}.key")
        pair.certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        write_private(pair.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return pair


def write_bundle(path: Path, authorities: Iterable[Authority]) -> Path:
    """Several authorities' certificates in one PEM file, for those who believe all of them."""
    path.write_bytes(b"".join(each.pair.certificate.read_bytes() for each in authorities))
    return path


def _common_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def write_private(path: Path, content: bytes) -> None:
    """Never readable by others, not even before its content is written."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
