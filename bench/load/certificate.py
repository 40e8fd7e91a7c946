"""The certificates of a run: the proxies' own, and those of the one user who has one."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bench.heads import HOST

_HOUR = datetime.timedelta(hours=1)
_DAY = datetime.timedelta(days=1)
_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Certificate:
    """P-256 everywhere. `chain` and `key` are the proxies', for HOST, and `both` the two in one file, as HAProxy wants
    it. `users_ca` is what a user's certificate must be signed by, and `user` is one, with its key in the same file.
    `mint` is the authority of minted certificates, and `mint_key` its key.
    """

    chain: Path
    key: Path
    both: Path
    users_ca: Path
    user: Path
    mint: Path
    mint_key: Path

    @classmethod
    def write(cls, directory: Path) -> Certificate:
        """Make them all, good for a day."""
        names = ("chain", "key", "both", "users-ca", "user", "mint", "mint-key")
        made = cls(*(directory / f"{name}.pem" for name in names))
        own, ca, user, mint = (ec.generate_private_key(ec.SECP256R1()) for _ in range(4))
        chain = _pem(_signed(_names(HOST), _names(HOST), own, own, _served()))
        made.chain.write_bytes(chain)
        made.key.write_bytes(_key_pem(own))
        made.both.write_bytes(chain + _key_pem(own))
        made.users_ca.write_bytes(_pem(_signed(_names("Users' CA"), _names("Users' CA"), ca, ca, _authority())))
        certificate = _signed(_names("alice"), _names("Users' CA"), user, ca, _client())
        made.user.write_bytes(_pem(certificate) + _key_pem(user))
        made.mint.write_bytes(_pem(_signed(_names("Mint"), _names("Mint"), mint, mint, _authority())))
        made.mint_key.write_bytes(_key_pem(mint))
        made.mint_key.chmod(0o600)
        return made


def _served() -> list[x509.ExtensionType]:
    return [x509.SubjectAlternativeName([x509.DNSName(HOST)])]


def _authority() -> list[x509.ExtensionType]:
    nothing = dict.fromkeys(_USAGES, False)
    return [
        x509.BasicConstraints(ca=True, path_length=0),
        x509.KeyUsage(**{**nothing, "key_cert_sign": True, "crl_sign": True}),
    ]


def _client() -> list[x509.ExtensionType]:
    return [x509.BasicConstraints(ca=False, path_length=None), x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])]


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    extensions: list[x509.ExtensionType],
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _HOUR)
        .not_valid_after(now + _DAY)
    )
    for extension in extensions:
        critical = isinstance(extension, x509.BasicConstraints | x509.KeyUsage)
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(by, hashes.SHA256())


def _names(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
