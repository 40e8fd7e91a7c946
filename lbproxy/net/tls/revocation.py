"""Revocation lists: which certificates are revoked, and until when that is known (RFC 5280 section 5).

OpenSSL checks them in a handshake. This is for where there is none: clients that resume a session, or stay connected.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lbproxy import reasons
from lbproxy.auth.certificate import ClientCertificate, tolerant_of_names
from lbproxy.auth.library import serialization, x509
from lbproxy.net.tls.files import Expiry, read_revocation_lists
from lbproxy.reasons import Reason

Verdict = tuple[Reason, str]
"""Why a client is refused, and a detail for the log."""

_Scope = tuple[bytes, bytes | None, bytes | None]
"""What a list is about: its issuer's name, which of the issuer's keys, and which part of its certificates."""


@dataclass(frozen=True, slots=True)
class _Issuer:
    """What is known of one issuer's certificates, until `ends` (seconds since the epoch)."""

    name: str
    ends: float
    revoked: frozenset[int]


class RevocationLists:
    """The lists in some files. Of two about the same, the newer one counts. `pem` is all of them, for OpenSSL."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Raises ValueError, which names the file, for one without a list or with one of a kind that is not used."""
        found = [(path, each) for path in paths for each in read_revocation_lists(path)]
        self.pem = b"".join(each.public_bytes(serialization.Encoding.PEM) for _, each in found)
        newest: dict[_Scope, tuple[Path, x509.CertificateRevocationList]] = {}
        for path, each in sorted(found, key=lambda one: one[1].last_update_utc):
            newest[_scope(path, each)] = path, each
        self._by_issuer = _by_issuer([each for _, each in newest.values()])
        self.expiries = [Expiry("crl", path, _name(each), _end(each)) for path, each in newest.values()]

    def __repr__(self) -> str:
        return f"<{len(self.expiries)} revocation lists of {len(self._by_issuer)} issuers>"

    def is_current(self, issuer: bytes, now: float) -> bool | None:
        """Whether the lists of an issuer, by its name in DER, are good at `now`; None: there is none."""
        known = self._by_issuer.get(issuer)
        return None if known is None else now < known.ends

    def ended(self, now: float) -> list[str]:
        """The issuers (RFC 4514) whose lists are not good at `now` any more: all their users are refused."""
        return [known.name for known in self._by_issuer.values() if now >= known.ends]

    def verdict(self, certificate: ClientCertificate, now: float) -> Verdict | None:
        """Whether any certificate of the chain is revoked, or may be: no list of its issuer, or one that has ended.

        The last one needs no list: `client_ca` says that it is trusted.
        """
        for depth, (issuer, serial) in enumerate(certificate.issued):
            known = self._by_issuer.get(issuer)
            if known is None:
                if depth < len(certificate.issued) - 1:
                    return reasons.CLIENT_CERT_REFUSED, f"no revocation list for certificate {depth} of its chain"
            elif serial in known.revoked:
                return reasons.CLIENT_CERT_REVOKED, f"serial {serial:x} of {known.name}"
            elif now >= known.ends:
                return reasons.CRL_EXPIRED, f"the list of {known.name}"
        return None


def _by_issuer(lists: Sequence[x509.CertificateRevocationList]) -> dict[bytes, _Issuer]:
    """An issuer with several keys, or whose certificates are divided, has several lists: each has to be current."""
    found: dict[bytes, _Issuer] = {}
    for each in lists:
        issuer, ends, revoked = each.issuer.public_bytes(), _end(each), frozenset(entry.serial_number for entry in each)
        if (other := found.get(issuer)) is not None:
            ends, revoked = min(ends, other.ends), revoked | other.revoked
        found[issuer] = _Issuer(_name(each), ends, revoked)
    return found


def _scope(path: Path, found: x509.CertificateRevocationList) -> _Scope:
    """Raises ValueError for a list that lbproxy does not use: then it must not seem to."""
    if found.next_update_utc is None:
        raise ValueError(f"{path} holds a revocation list that does not say when the next one comes")
    key: bytes | None = None
    part: bytes | None = None
    for extension in found.extensions:
        match extension.value:
            case x509.DeltaCRLIndicator():
                raise ValueError(f"{path} holds a delta revocation list: lbproxy needs the complete one")
            case x509.IssuingDistributionPoint(indirect_crl=True):
                raise ValueError(f"{path} holds an indirect revocation list, which lbproxy does not follow")
            case x509.IssuingDistributionPoint() as point:
                part = point.public_bytes()
            case x509.AuthorityKeyIdentifier() as authority:
                key = authority.key_identifier
    return found.issuer.public_bytes(), key, part


def _end(found: x509.CertificateRevocationList) -> float:
    assert found.next_update_utc is not None, "_scope has seen to it"
    return found.next_update_utc.timestamp()


def _name(found: x509.CertificateRevocationList) -> str:
    with tolerant_of_names():
        return found.issuer.rfc4514_string()
