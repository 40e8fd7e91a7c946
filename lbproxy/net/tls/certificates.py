"""What certificates, keys and revocation lists are good for: whether they fit, their names, which may issue.

`net.tls.files` reads the files. Here, too, what cannot be used is a ValueError with a sentence for people.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from lbproxy import files
from lbproxy.auth.certificate import extension, understanding
from lbproxy.auth.library import serialization, x509
from lbproxy.ip_addresses import ip_of
from lbproxy.net.tls.files import read_certificates, show_chain

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes


def read_key(path: Path) -> PrivateKeyTypes:
    """The private key in the file at `path`, which must not be encrypted: there is no operator to type a passphrase."""
    try:
        data = files.read(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    try:
        with understanding(f"{path} holds no usable PEM private key"):
            return serialization.load_pem_private_key(data, password=None)
    except ValueError as error:
        if isinstance(error.__cause__, TypeError):
            raise ValueError(f"{path} is encrypted; lbproxy needs a key without a passphrase") from None
        raise


def check_key(certificate: x509.Certificate, certificate_path: Path, key: PrivateKeyTypes, key_path: Path) -> None:
    """Raises ValueError, which names the files they came from, unless `key` is that of `certificate`."""
    with understanding(f"the key of the first certificate in {certificate_path} is of no known kind"):
        wanted = certificate.public_key()
    if wanted != key.public_key():
        raise ValueError(f"{key_path} is not the key of the first certificate in {certificate_path}")


def check_pair(certificate: Path, key: Path) -> None:
    """Raises ValueError unless TLS accepts the chain in `certificate` with the private `key`; both can be read."""
    check_key(read_certificates(certificate)[0], certificate, read_key(key), key)
    try:
        show_chain(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), certificate, key)
    except ssl.SSLError as error:
        raise ValueError(f"OpenSSL refuses {certificate} with {key}: {error.reason}") from None


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may issue others: basicConstraints says so, or it is too old for that and signs itself."""
    constraints = extension(certificate, x509.BasicConstraints)
    return certificate.subject == certificate.issuer if constraints is None else constraints.ca


def path_length(certificate: x509.Certificate) -> int | None:
    """How many authorities may be below it in a chain (RFC 5280 section 4.2.1.9); None: any number."""
    constraints = extension(certificate, x509.BasicConstraints)
    return None if constraints is None else constraints.path_length


def has_issued(authority: x509.Certificate, found: x509.CertificateRevocationList) -> bool:
    """Whether the revocation list has the authority's name and was signed with its key."""
    if found.issuer != authority.subject:
        return False
    try:
        with understanding("a key of a kind that signs nothing"):
            return found.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
    except ValueError:
        return False


def dns_names(certificate: x509.Certificate) -> list[str]:
    """The DNS names among its subject alternative names, as written."""
    names = extension(certificate, x509.SubjectAlternativeName)
    return [] if names is None else names.get_values_for_type(x509.DNSName)


def covers(certificate: x509.Certificate, host: str) -> bool:
    """Whether a client that asked for `host` (a name, an IPv4 address or a [v6] one) accepts the certificate.

    Only subjectAltName counts, and a wildcard stands for exactly one first label (RFC 9525 section 6).
    """
    address = ip_of(host.strip("[]"))
    if address is None:
        wanted = {host.lower(), f"*.{host.partition('.')[2]}".lower()}
        return any(name.lower() in wanted for name in dns_names(certificate))
    names = extension(certificate, x509.SubjectAlternativeName)
    return names is not None and address in names.get_values_for_type(x509.IPAddress)


def subject(certificate: x509.Certificate) -> str:
    """The subject of a certificate, for people: its common name, else the whole subject."""
    return _name(certificate.subject)


def issuer(found: x509.CertificateRevocationList) -> str:
    """The issuer of a revocation list, in the same form."""
    return _name(found.issuer)


def der(certificate: x509.Certificate) -> bytes:
    """The certificate's own bytes."""
    return certificate.public_bytes(serialization.Encoding.DER)


def _name(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string()
