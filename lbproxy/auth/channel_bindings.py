"""Channel bindings of type tls-server-end-point (RFC 5929 section 4): what extended protection compares.

A browser binds its token to the certificate that it saw, which is the listener's. A backend that checks compares with
the certificate that it presented itself. Through a balancer that ends TLS, both are equal only if both hops present
the same certificate (measured: docs/kerberos.md).
"""

from __future__ import annotations

from enum import Enum

from lbproxy.auth.certificate import understanding
from lbproxy.auth.library import hashes, x509


class Protection(Enum):
    """Whether extended protection can work through lbproxy; the value is for status, the text for people."""

    WORKS = "works", "the backend presents the listener's certificate"
    CANNOT = (
        "cannot",
        (
            "the backend presents another certificate than users see: "
            "give both hops the same one, or pass TLS through (mode sni)"
        ),
    )
    UNDEFINED = "undefined", "a certificate's signature has no single hash, so RFC 5929 defines no binding for it"

    def __init__(self, label: str, text: str) -> None:
        self.label = label
        self.text = text


def server_end_point(certificate: bytes) -> bytes | None:
    """The binding for a DER certificate; None where RFC 5929 defines none. Raises ValueError if it is not one.

    The hash is the one of the certificate's signature, but SHA-256 in place of MD5 and SHA-1.
    """
    from cryptography.exceptions import UnsupportedAlgorithm

    with understanding("a certificate that cannot be read", why=True):
        found = x509.load_der_x509_certificate(certificate)
        try:
            algorithm = found.signature_hash_algorithm
        except UnsupportedAlgorithm:
            return None
    if algorithm is None:
        return None
    weak = isinstance(algorithm, hashes.MD5 | hashes.SHA1)
    digest = hashes.Hash(hashes.SHA256() if weak else algorithm)
    digest.update(certificate)
    return digest.finalize()


def compare(users_see: bytes, backend_presents: bytes) -> Protection:
    """What two DER certificates mean for extended protection. Raises ValueError if one is none."""
    ours, theirs = server_end_point(users_see), server_end_point(backend_presents)
    if ours is None or theirs is None:
        return Protection.UNDEFINED
    return Protection.WORKS if ours == theirs else Protection.CANNOT
