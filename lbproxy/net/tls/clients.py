"""Client certificates: which are asked for, which are believed, and for how long.

OpenSSL verifies chain and revocation in a handshake, so a client is refused with the right TLS alert. A client that
resumes a session or stays connected has no such handshake, and is judged here, by the files as they are now.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lbproxy import reasons
from lbproxy.auth.certificate import ClientCertificate, extension, tolerant_of_names
from lbproxy.auth.library import serialization, x509
from lbproxy.net.tls.accepted import AcceptedTls
from lbproxy.net.tls.chains import Chains, verified_chain
from lbproxy.net.tls.files import expiries_of, in_memory, read_authorities
from lbproxy.net.tls.revocation import RevocationLists, Verdict
from lbproxy.reasons import Reason

MAX_CHAIN = 10
"""Certificates in a chain, the authority included. OpenSSL's own limit is 100, and Python cannot change it."""

_REASONS = {
    10: reasons.CLIENT_CERT_EXPIRED,  # X509_V_ERR_CERT_HAS_EXPIRED
    12: reasons.CRL_EXPIRED,  # X509_V_ERR_CRL_HAS_EXPIRED
    23: reasons.CLIENT_CERT_REVOKED,  # X509_V_ERR_CERT_REVOKED
}
"""OpenSSL's verification errors that have a row of their own (X509_STORE_CTX_get_error(3))."""


@dataclass(frozen=True, slots=True)
class ClientPolicy:
    """Clients have to show a certificate, or may; `ca` has the authorities that they trust, `crl` revocation lists.

    With revocation lists, there must be one of every authority of a chain, or the client is refused.
    """

    required: bool
    ca: Path
    crl: tuple[Path, ...] = ()


class ShutOut(NamedTuple):
    """Authorities (RFC 4514) whose users are refused, and whether no client at all gets in."""

    authorities: tuple[str, ...]
    everybody: bool


class ClientRefused(Exception):
    """The handshake succeeded, but the client's certificate is not accepted."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason.label}: {detail}")


def refusal(error: OSError | ValueError) -> tuple[Reason, str]:
    """Why a handshake with a client failed, with OpenSSL's words for it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _REASONS.get(error.verify_code, reasons.CLIENT_CERT_REFUSED), error.verify_message
    if isinstance(error, ssl.SSLError):
        if error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
            return reasons.CLIENT_CERT_REFUSED, "no certificate"
        return reasons.TLS_FAILED, error.reason or str(error)
    return reasons.TLS_FAILED, getattr(error, "strerror", None) or str(error)


class Clients:
    """A policy with its files as they were when it was made. `expiries` says when what is in them ends."""

    def __init__(self, policy: ClientPolicy, now: float) -> None:
        """now: seconds since the epoch. Raises ValueError, which names the file, when one of them cannot be used."""
        self._required = policy.required
        self._authorities = read_authorities(policy.ca, now)
        self._trusted = {each.public_bytes(serialization.Encoding.DER) for each in self._authorities}
        self._lists = RevocationLists(policy.crl) if policy.crl else None
        self._by_subject = {each.subject.public_bytes(): each.issuer.public_bytes() for each in self._authorities}
        self._chains = Chains()
        self.expiries = expiries_of("client_ca", policy.ca, self._authorities)
        if self._lists is not None:
            self.expiries += self._lists.expiries

    def __repr__(self) -> str:
        asked = "required" if self._required else "optional"
        return f"<client certificates {asked}, {len(self._trusted)} authorities, {self._lists}>"

    def configure(self, context: ssl.SSLContext) -> None:
        """Have `context` ask for certificates and verify them."""
        context.verify_mode = ssl.CERT_REQUIRED if self._required else ssl.CERT_OPTIONAL
        data = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in self._authorities)
        if self._lists is not None:
            data += self._lists.pem
        with in_memory(data) as path:
            context.load_verify_locations(path)
        headless = self._has_headless()
        if headless:
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if self._lists is not None:
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF if headless else ssl.VERIFY_CRL_CHECK_CHAIN

    def _has_headless(self) -> bool:
        """Whether an authority's own issuer is not there. To trust it all the same, partial chains must be allowed.

        OpenSSL then ends every chain at the first certificate that it finds in the file, and asks for a revocation list
        of that one's issuer too, in vain. So it can check the leaf only, and `identify` has to check the others. A file
        with roots in it gets whole chains, in which an intermediate authority may be revoked though it is in the file.
        """
        return any(issuer not in self._by_subject for issuer in self._by_subject.values())

    def identify(self, tls: AcceptedTls, now: float) -> ClientCertificate | None:
        """Who the client is, after the handshake, full or resumed; None: it has shown no certificate.

        Raises ClientRefused.
        """
        leaf = tls.peer_certificate()
        if leaf is None:
            return None
        chain = verified_chain(tls)
        if len(chain) > MAX_CHAIN:
            raise ClientRefused(reasons.CLIENT_CERT_REFUSED, f"a chain of {len(chain)} certificates")
        try:
            certificate = self._chains.verified(chain) if chain else self._chains.resumed(leaf)
        except ValueError as error:
            raise ClientRefused(reasons.CLIENT_CERT_REFUSED, str(error)) from error
        if certificate is None:
            raise ClientRefused(reasons.CLIENT_CERT_REFUSED, "a session from before client_ca or client_crl changed")
        if (verdict := self.verdict(certificate, now)) is not None:
            raise ClientRefused(*verdict)
        return certificate

    def shut_out(self, now: float) -> ShutOut | None:
        """The authorities whose users are all refused at `now` for want of a current revocation list, if there are.

        Those of client_ca, and others below them that have a list.
        """
        if self._lists is None:
            return None
        valid = [each for each in self._authorities if now < each.not_valid_after_utc.timestamp() and _issues(each)]
        lacking = [_name(each) for each in valid if self._lacks_list(self._lists, each, now)]
        names = tuple(dict.fromkeys((*lacking, *self._lists.ended(now))))
        return ShutOut(names, self._required and len(lacking) == len(valid) > 0) if names else None

    def _lacks_list(self, lists: RevocationLists, authority: x509.Certificate, now: float) -> bool:
        """Whether it, or an authority above it in client_ca, has no current list. See `RevocationLists.verdict`."""
        issuer = authority.subject.public_bytes()
        for _ in range(MAX_CHAIN):
            above = self._by_subject.get(issuer)
            current = lists.is_current(issuer, now)
            if above is None:  # the authority's own issuer is not in client_ca: no list is needed for it
                return current is False
            if not current:
                return True
            if above == issuer:
                break
            issuer = above
        return False

    def verdict(self, certificate: ClientCertificate, now: float) -> Verdict | None:
        """Why a verified certificate is not good any more, if so; it may have been verified by earlier files."""
        if certificate.chain[-1] not in self._trusted:
            return reasons.CLIENT_CERT_REFUSED, "its authority is not in client_ca any more"
        if now >= certificate.earliest_end:
            return reasons.CLIENT_CERT_EXPIRED, "a certificate of its chain has expired"
        return None if self._lists is None else self._lists.verdict(certificate, now)


def _issues(certificate: x509.Certificate) -> bool:
    """Whether it is an authority's: it says so, or it is too old for that and signs itself."""
    constraints = extension(certificate, x509.BasicConstraints)
    return certificate.issuer == certificate.subject if constraints is None else constraints.ca


def _name(certificate: x509.Certificate) -> str:
    with tolerant_of_names():
        return certificate.subject.rfc4514_string()
