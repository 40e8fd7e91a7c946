"""The chains of client certificates that were verified: each is read once, and found again for a resumed session."""

from __future__ import annotations

from _ssl import ENCODING_DER
from collections import OrderedDict

from lbproxy.auth.certificate import ClientCertificate, extension, understanding
from lbproxy.auth.library import x509
from lbproxy.net.tls.accepted import AcceptedTls

CACHE_SIZE = 1024
"""Users whose certificate is kept as it was read: those seen last. Each holds about 4 KB."""


def verified_chain(tls: AcceptedTls) -> tuple[bytes, ...]:
    """The chain that OpenSSL verified in the handshake, in DER, leaf first, up to what is trusted; empty if it resumed.

    This is what `SSLSocket.get_verified_chain` does, which is public from Python 3.13 on.
    """
    return tuple(each.public_bytes(ENCODING_DER) for each in tls._sslobj.get_verified_chain() or ())


class Chains:
    """What was verified under one policy. A session ticket holds the leaf only, and the chain of its issuer is here.

    So sessions must not outlive this object: that of another policy would get no chain, or a wrong one.
    """

    def __init__(self) -> None:
        self._certificates: OrderedDict[bytes, ClientCertificate] = OrderedDict()  # by leaf; the last was seen last
        self._issuers: dict[tuple[bytes, bytes | None], tuple[bytes, ...]] = {}  # few: an authority has certified each

    def __repr__(self) -> str:
        return f"<chains of {len(self._issuers)} issuers, {len(self._certificates)} certificates kept>"

    def verified(self, chain: tuple[bytes, ...]) -> ClientCertificate:
        """Read a chain of a full handshake. Raises ValueError when it cannot be read."""
        certificate = self._certificates.get(chain[0])
        if certificate is None or certificate.chain != chain:
            certificate = ClientCertificate.from_chain(chain)
            self._issuers[_issuer(chain[0])] = chain[1:]
        return self._kept(certificate)

    def resumed(self, leaf: bytes) -> ClientCertificate | None:
        """The certificate of a session that was resumed; None: its chain is not known. Raises ValueError as well."""
        certificate = self._certificates.get(leaf)
        if certificate is None:
            rest = self._issuers.get(_issuer(leaf))
            if rest is None:
                return None
            certificate = ClientCertificate.from_chain((leaf, *rest))
        return self._kept(certificate)

    def _kept(self, certificate: ClientCertificate) -> ClientCertificate:
        self._certificates[certificate.leaf] = certificate
        self._certificates.move_to_end(certificate.leaf)
        if len(self._certificates) > CACHE_SIZE:
            self._certificates.popitem(last=False)
        return certificate


def _issuer(leaf: bytes) -> tuple[bytes, bytes | None]:
    """Its name, and its key where the certificate tells: one name may have several (RFC 5280 section 4.2.1.1).

    Raises ValueError when the certificate cannot be read.
    """
    with understanding("a certificate that cannot be read", why=True):
        certificate = x509.load_der_x509_certificate(leaf)
        key = extension(certificate, x509.AuthorityKeyIdentifier)
        return certificate.issuer.public_bytes(), None if key is None else key.key_identifier
