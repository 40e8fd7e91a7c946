"""The files that TLS is made of: read, watched for changes, and handed to OpenSSL.

Every function that reads raises ValueError with a sentence for people, which names the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext, SSLError
from typing import Literal, NamedTuple

from lbproxy import files
from lbproxy.auth.certificate import tolerant_of_names, understanding
from lbproxy.auth.library import serialization, x509

_REVOCATION_LIST = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


class Expiry(NamedTuple):
    """A file in use that expires: `name` is its subject or issuer (RFC 4514), `ends` is in seconds since the epoch."""

    kind: Literal["certificate", "ca", "client_ca", "crl"]
    path: Path
    name: str
    ends: float


class Refused(NamedTuple):
    """Files that have changed and cannot be used, so that what was read before stays in use.

    `why` is a sentence that names the file; `since` is when that was found out, in seconds since the epoch.
    """

    why: str
    since: float


class Watch:
    """Some files, of which `changed` says whether they are still as they were when it was last asked."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = tuple(paths)
        self._seen = [files.stamp(path) for path in self._paths]

    def __repr__(self) -> str:
        return f"<watch of {', '.join(map(str, self._paths))}>"

    def changed(self) -> bool:
        """Look at them. Look before you read them: what is written in between is then a change for the next time."""
        before, self._seen = self._seen, [files.stamp(path) for path in self._paths]
        return self._seen != before


def read_certificates(path: Path) -> list[x509.Certificate]:
    """Every certificate in the PEM file at `path`, in its order; at least one."""
    data = _read(path)
    with understanding(f"{path} holds no usable PEM certificate"):
        certificates = x509.load_pem_x509_certificates(data)
    for number, each in enumerate(certificates, 1):
        with understanding(f"{path}: certificate {number} in it cannot be read", why=True):
            _ = each.subject, each.issuer, each.extensions  # they are parsed only on access
    return certificates


def read_authorities(path: Path, now: float) -> list[x509.Certificate]:
    """The certificates in the PEM file at `path`, not all of which may have expired at `now` (since the epoch)."""
    certificates = read_certificates(path)
    if all(each.not_valid_after_utc.timestamp() <= now for each in certificates):
        raise ValueError(f"every certificate in {path} has expired")
    check_authorities(certificates, path)
    return certificates


def check_authorities(certificates: Iterable[x509.Certificate], path: Path) -> None:
    """Raises ValueError unless OpenSSL accepts the certificates, which were in the file at `path`, as authorities."""
    with in_memory(b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)) as copy:
        try:
            SSLContext(PROTOCOL_TLS_SERVER).load_verify_locations(copy)
        except SSLError as error:
            raise ValueError(f"OpenSSL refuses a certificate in {path}: {error.reason or error}") from None


def read_revocation_lists(path: Path) -> list[x509.CertificateRevocationList]:
    """Every revocation list in the file at `path`, which is in PEM or a single one in DER; at least one."""
    data = _read(path, files.REVOCATION_LIST)
    with understanding(f"{path} holds no usable revocation list, in PEM or in DER"):
        blocks = _REVOCATION_LIST.findall(data)
        lists = [x509.load_pem_x509_crl(block) for block in blocks] or [x509.load_der_x509_crl(data)]
        for each in lists:
            _ = each.issuer, each.extensions
    return lists


def load_pair(context: SSLContext, certificate: Path, key: Path) -> list[x509.Certificate]:
    """Have `context` show the chain in `certificate`, and return it."""
    chain = read_certificates(certificate)
    try:
        show_chain(context, certificate, key)
    except SSLError as error:
        raise ValueError(f"{key} cannot be used with {certificate}: {error.reason or error}") from None
    except OSError as error:
        raise ValueError(f"{error.filename}: {error.strerror}") from None
    return chain


def show_chain(context: SSLContext, certificate: Path, key: Path) -> None:
    """The same, with OpenSSL as the only judge. Raises OSError, of which ssl.SSLError is one."""
    with in_memory(files.read(certificate)) as chain_path, in_memory(files.read(key)) as key_path:
        # For an encrypted key OpenSSL would ask on the terminal, and everything would wait for an answer.
        context.load_cert_chain(chain_path, key_path, password="")


@contextmanager
def in_memory(data: bytes) -> Iterator[str]:
    """The path of a file with `data` that is on no disk: OpenSSL reads keys and revocation lists from files only."""
    descriptor = files.in_memory("lbproxy", data)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def expiries_of(
    kind: Literal["certificate", "ca", "client_ca"], path: Path, certificates: Iterable[x509.Certificate]
) -> list[Expiry]:
    """When each of the certificates that the file at `path` holds ends."""
    with tolerant_of_names():
        return [
            Expiry(kind, path, each.subject.rfc4514_string(), each.not_valid_after_utc.timestamp())
            for each in certificates
        ]


def _read(path: Path, limit: int = files.USUAL) -> bytes:
    try:
        return files.read(path, limit)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
