"""The keys and certificates of an Auth0 AD/LDAP connector: what they are, and whether they fit each other."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")  # .*? looks to the end for each BEGIN
_BETWEEN = re.compile(r"-----END CERTIFICATE-----\s*,\s*-----BEGIN CERTIFICATE-----")


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256, in hex."""
    return certificate.fingerprint(SHA256()).hex()


class Signing(NamedTuple):
    """The key that tokens are signed with: `material` is the key as DER, or its bytes if it is not understood."""

    fingerprint: str
    thumbprint: str  # SHA-1, as the tenant shows it
    material: bytes
    problem: str = ""


def signing(certificate: bytes, key: bytes, names: str) -> Signing:
    """names: of the two files, for people."""
    try:
        shown = x509.load_pem_x509_certificate(certificate)
        private = load_pem_private_key(key, None)
        same = _public(shown.public_key()) == _public(private.public_key())
        der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    except (ValueError, TypeError, UnsupportedAlgorithm, AttributeError):
        return Signing("", "", key, f"{names}: are not a certificate and its key without a passphrase, as PEM")
    told = "" if same else f"{names}: the key is not the certificate's, so the tenant refuses every token"
    sha1 = hashlib.sha1(shown.public_bytes(Encoding.DER), usedforsecurity=False).hexdigest()
    return Signing(fingerprint(shown), sha1, der, told)


def _public(key: object) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined,no-any-return]  # of every kind of key


@lru_cache(maxsize=8)  # facts are asked for again and again, and both derivations are slow on purpose
def ldap_password(encrypted: str, key: bytes) -> str | None:
    """LDAP_BIND_CREDENTIALS in plain text, as lib/crypto.js of the connector decrypts it; None: not under this key.

    "$2$." is AES-256-CBC under scrypt (N 16384, r 8, p 1) of the key's file; without it, OpenSSL's old derivation.
    """
    try:
        if encrypted.startswith("$2$."):
            salt, iv, secret = (bytes.fromhex(part) for part in encrypted.split(".")[1:])
            derived = hashlib.scrypt(key, salt=salt, n=16384, r=8, p=1, dklen=32, maxmem=64 * 1024 * 1024)
        else:
            derived, iv, secret = *_old_derivation(key), bytes.fromhex(encrypted)
        decryptor = Cipher(algorithms.AES256(derived), modes.CBC(iv)).decryptor()
        unpadder = padding.PKCS7(128).unpadder()
        padded = decryptor.update(secret) + decryptor.finalize()
        return (unpadder.update(padded) + unpadder.finalize()).decode()
    except ValueError:  # not hex, not whole blocks, a padding that is none, or no UTF-8
        return None


def _old_derivation(key: bytes) -> tuple[bytes, bytes]:
    """EVP_BytesToKey of OpenSSL, with MD5 and one round: 32 bytes of key and 16 of IV."""
    blocks = [b""]
    while len(blocks) < 4:
        blocks.append(hashlib.md5(blocks[-1] + key, usedforsecurity=False).digest())
    derived = b"".join(blocks)
    return derived[:32], derived[32:48]


class Authorities(NamedTuple):
    """CA_CERT: the fingerprints, in order of value."""

    fingerprints: Sequence[str]
    problem: str = ""


def authorities(value: object) -> Authorities:
    """value: one text or a list of texts, PEM."""
    texts = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str) and one]
    found: list[str] = []
    problem = ""
    for one in texts:
        blocks = _PEM.findall(one.encode())
        try:
            certificates = [x509.load_pem_x509_certificate(block) for block in blocks]
        except ValueError:
            certificates = []
        if not certificates:
            problem = "CA_CERT: is not a certificate, as PEM"
        if _BETWEEN.search(one):
            problem = (
                "CA_CERT: has a comma between two authorities, as the admin console saves a list; the connector reads"
                " the first one only. Write them one below the other, in one text"
            )
            certificates = certificates[:1]
        found += map(fingerprint, certificates)
    return Authorities(sorted(set(found)), problem)


class ServerKey(NamedTuple):
    """SSL_PFX: the fingerprints of its certificates, the server's own first; `raw` if it was not understood."""

    fingerprints: Sequence[str] = ()
    raw: str = ""
    problem: str = ""
    warning: str = ""


@lru_cache(maxsize=8)
def server_key(pfx: str, passphrase: str) -> ServerKey:
    """pfx: base64 of PKCS #12."""
    try:
        content = base64.b64decode(pfx)
        key, leaf, others = pkcs12.load_key_and_certificates(content, passphrase.encode() or None)
    except binascii.Error:
        return ServerKey((), pfx, "SSL_PFX: is not base64 of a PFX file")
    except UnsupportedAlgorithm as error:
        return ServerKey((), pfx, warning=f"SSL_PFX: cannot be looked into here: {error}")
    except ValueError:
        return ServerKey((), pfx, "SSL_PFX: cannot be opened with SSL_KEY_PASSWORD")
    if key is None or leaf is None:
        return ServerKey((), pfx, "SSL_PFX: has no key with a certificate")
    return ServerKey([fingerprint(leaf), *sorted(map(fingerprint, others))])
