"""A public key infrastructure for tests: authorities in any depth, certificates of any shape, revocation lists, files.

    root = Authority.root()
    users = root.intermediate("users")
    alice = users.issue("alice", upn="alice@corp.example")     # a client certificate; any x509.Name will do as subject
    late = users.issue("late", starts=-2 * DAY, ends=-DAY)     # has expired
    login = root.server("login.corp.example", "127.0.0.1")     # a server certificate

    alice.write(tmp_path, "alice")                             # Files: alice.pem (without the root) and alice.key
    root.write_certificate(tmp_path / "ca.pem")                # what `client_ca` names
    write_crls(tmp_path / "users.crl", root.crl(), users.crl(alice))

Times are distances from now. Keys are EC P-256, and everything is made anew in each call, in about a millisecond.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
"""The type of the otherName with a Windows user's principal name, as smart cards of a domain carry it."""


WITHOUT_AUTHORITIES = {"SSL_CERT_FILE": os.devnull}
"""For a process that needs none of the system's authorities: aiohttp reads them twice at its import."""

UNREADABLE = {
    # RFC 5280 section 4.2.1.10 wants an address and its mask, 8 bytes: a TypeError.
    "name constraint": ("2.5.29.30", bytes.fromhex("300a a008 3006 8704 7f000001")),
    # A feature of a number that RFC 7633 does not have: a KeyError.
    "TLS feature": ("1.3.6.1.5.5.7.1.24", bytes.fromhex("3003 020110")),
    # An x400Address: UnsupportedGeneralNameType.
    "alternative name": ("2.5.29.17", bytes.fromhex("3002 a300")),
}
"""Extensions, by OID and DER, for which cryptography raises another class of exception each."""


@dataclass(frozen=True)
class Files:
    """What a configuration names: the chain without its root, leaf first, and the leaf's key."""

    chain: Path
    key: Path


@dataclass(frozen=True)
class Holder:
    """A certificate with its key, and who issued it: the issuer's certificate, and so on up to the root's."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    issuers: tuple[x509.Certificate, ...]

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The whole chain in DER, leaf first, root last: what a verifier that trusts the root comes to."""
        return tuple(der(certificate) for certificate in (self.certificate, *self.issuers))

    @property
    def chain_pem(self) -> bytes:
        """What a peer sends: the chain without its root, which the other side must have anyway."""
        return b"".join(pem(certificate) for certificate in (self.certificate, *self.issuers[:-1]))

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def serial(self) -> int:
        return self.certificate.serial_number

    def write(self, directory: Path, name: str = "leaf") -> Files:
        """Write NAME.pem and NAME.key, over those of an earlier call."""
        files = Files(directory / f"{name}.pem", directory / f"{name}.key")
        files.chain.write_bytes(self.chain_pem)
        files.key.write_bytes(self.key_pem)
        return files

    def write_certificate(self, path: Path) -> Path:
        """Write this certificate alone."""
        path.write_bytes(pem(self.certificate))
        return path

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.certificate.subject.rfc4514_string()!a}>"


class Authority(Holder):
    """A certificate that issues others."""

    @classmethod
    def root(
        cls,
        subject: str | x509.Name = "root",
        *,
        path_length: int | None = None,
        permitted: Sequence[x509.Name] = (),
        excluded: Sequence[x509.Name] = (),
        starts: timedelta = -DAY,
        ends: timedelta = 365 * DAY,
        extension: tuple[str, bytes] | None = None,
    ) -> Authority:
        """A certificate that signs itself; `permitted` and `excluded` are name constraints.

        extension: one more, its OID and its DER, which may well make no sense.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(subject, key, starts, ends)
        if permitted or excluded:
            trees = [[*map(x509.DirectoryName, names)] or None for names in (permitted, excluded)]
            builder = builder.add_extension(x509.NameConstraints(*trees), critical=True)
        if extension is not None:
            oid, value = extension
            builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), True)
        return cls(_sign(_as_authority(builder, path_length, True), name(subject), key), key, ())

    def intermediate(
        self,
        subject: str | x509.Name = "intermediate",
        *,
        path_length: int | None = None,
        key_cert_sign: bool = True,
        starts: timedelta = -DAY,
        ends: timedelta = 365 * DAY,
    ) -> Authority:
        """An authority below this one, even where a path_length above forbids it: for chains that are too long."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _as_authority(_builder(subject, key, starts, ends), path_length, key_cert_sign)
        return Authority(self._issue(builder), key, (self.certificate, *self.issuers))

    def issue(
        self,
        subject: str | x509.Name,
        *,
        upn: str | None = None,
        dns: Iterable[str] = (),
        uris: Iterable[str] = (),
        names: Iterable[x509.GeneralName] = (),
        usages: Sequence[x509.ObjectIdentifier] = (CLIENT_AUTH,),
        starts: timedelta = -HOUR,
        ends: timedelta = DAY,
    ) -> Holder:
        """A certificate of a user or a service, for client authentication unless `usages` says otherwise.

        A str is the common name. The subject alternative names come in the order of the arguments; without any there
        is no such extension, and without `usages` no extended key usage.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(subject, key, starts, ends)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(digital_signature=True), critical=True)
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        alternatives = [
            *([] if upn is None else [upn_name(upn)]),
            *map(x509.DNSName, dns),
            *map(x509.UniformResourceIdentifier, uris),
            *names,
        ]
        if alternatives:
            # RFC 5280 section 4.2.1.6: critical if it is all that names the subject.
            critical = not list(name(subject))
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=critical)
        return Holder(self._issue(builder), key, (self.certificate, *self.issuers))

    def server(self, *names: str, ends: timedelta = DAY) -> Holder:
        """A server certificate for DNS names and IP addresses; the first is its common name too."""
        alternatives = map(_host_name, names)
        return self.issue(names[0], names=alternatives, usages=[SERVER_AUTH], ends=ends)

    def crl(
        self, *revoked: Holder, this_update: timedelta = -HOUR, next_update: timedelta = DAY
    ) -> x509.CertificateRevocationList:
        """This authority's revocation list; with a `next_update` in the past it has expired."""
        now = _now()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(min(now + this_update, now + next_update - HOUR))
            .next_update(now + next_update)
            .add_extension(_authority_key(self.key), critical=False)
            .add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
        )
        for holder in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(holder.serial).revocation_date(now - HOUR)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256())

    def _issue(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return _sign(builder, self.certificate.subject, self.key)


def self_signed(subject: str | x509.Name) -> Holder:
    """A client certificate that nobody has issued."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(subject, key, -HOUR, DAY).add_extension(x509.ExtendedKeyUsage([CLIENT_AUTH]), critical=False)
    return Holder(_sign(builder, name(subject), key), key, ())


def unreadable(extension: str) -> bytes:
    """In PEM, the certificate of an authority with one of the extensions `UNREADABLE`."""
    return pem(Authority.root("broken", extension=UNREADABLE[extension]).certificate)


def foreign_text() -> bytes:
    """In PEM, the certificate of an authority whose name is a VisibleString, which only cryptography reads."""
    changed = der(Authority.root("ours").certificate).replace(b"\x0c\x04ours", b"\x1a\x04ours")
    return ssl.DER_cert_to_PEM_cert(changed).encode()


def write_bundle(path: Path, *holders: Holder) -> Path:
    """Write several certificates into one file, as a `client_ca` bundle has them."""
    path.write_bytes(b"".join(pem(holder.certificate) for holder in holders))
    return path


def write_crls(path: Path, *crls: x509.CertificateRevocationList) -> Path:
    """Write revocation lists into one file."""
    path.write_bytes(b"".join(crl.public_bytes(Encoding.PEM) for crl in crls))
    return path


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def name(subject: str | x509.Name) -> x509.Name:
    """A subject; a str is its common name: 1 to 64 characters (RFC 5280's ub-common-name), whichever they are."""
    if isinstance(subject, x509.Name):
        return subject
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])


def upn_name(upn: str) -> x509.OtherName:
    """A user principal name as a subject alternative name: a UTF8String (X.690 section 8.23)."""
    text = upn.encode()
    size = len(text)
    length = bytes([size]) if size < 0x80 else b"\x82" + size.to_bytes(2)
    return x509.OtherName(UPN, b"\x0c" + length + text)


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _builder(
    subject: str | x509.Name, key: ec.EllipticCurvePrivateKey, starts: timedelta, ends: timedelta
) -> x509.CertificateBuilder:
    now = _now()
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + starts)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _as_authority(
    builder: x509.CertificateBuilder, path_length: int | None, key_cert_sign: bool
) -> x509.CertificateBuilder:
    constraints = x509.BasicConstraints(ca=True, path_length=path_length)
    usage = _key_usage(key_cert_sign=key_cert_sign, crl_sign=True)
    return builder.add_extension(constraints, critical=True).add_extension(usage, critical=True)


def _sign(builder: x509.CertificateBuilder, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return builder.issuer_name(issuer).add_extension(_authority_key(key), critical=False).sign(key, hashes.SHA256())


def _authority_key(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


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
