"""Certificates and keys in PEM files: read, compared, and asked which hosts they are for.

Every function that reads raises ValueError with a sentence for people.
"""

from __future__ import annotations

import ssl
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID


def read_certificates(path: Path) -> list[x509.Certificate]:
    """Every certificate in the file at `path`, in its order; at least one."""
    data = _read(path)
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise ValueError(f"{path} holds no usable PEM certificate") from error


def read_key(path: Path) -> PrivateKeyTypes:
    """The private key in the file at `path`, which must not be encrypted: nobody could type its passphrase."""
    data = _read(path)
    try:
        return load_pem_private_key(data, password=None)
    except TypeError:
        raise ValueError(f"{path} is encrypted; lbproxy needs a key without a passphrase") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{path} holds no usable PEM private key") from error


def check_pair(certificate: Path, key: Path) -> None:
    """Raises ValueError unless TLS accepts the chain in `certificate` with the private `key`; both can be read."""
    if read_certificates(certificate)[0].public_key() != read_key(key).public_key():
        raise ValueError(f"{key} is not the key of the first certificate in {certificate}")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        raise ValueError(f"OpenSSL refuses {certificate} with {key}: {error.reason}") from None


def covers(certificate: x509.Certificate, host: str) -> bool:
    """Whether a client that asked for `host` (a name, an IPv4 address or a [v6] one) accepts the certificate.

    Only subjectAltName counts, and a wildcard stands for exactly one first label (RFC 9525 section 6).
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    try:
        return ip_address(host.strip("[]")) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        wanted = {host.lower(), f"*.{host.partition('.')[2]}".lower()}
        return any(name.lower() in wanted for name in names.get_values_for_type(x509.DNSName))


def subject(certificate: x509.Certificate) -> str:
    """Whose certificate it is, for people: its common name, else its whole subject."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def der(certificate: x509.Certificate) -> bytes:
    """The certificate's own bytes."""
    return certificate.public_bytes(Encoding.DER)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
