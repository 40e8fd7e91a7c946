"""Short-lived client certificates in a user's name, for backends that believe only the TLS peer certificate.

lbproxy has verified the user's own certificate; a minted one says the same to the backend, over one hop. It has the
subject of the user's byte for byte and the same alternative names (a UPN too), is good for client authentication only,
and is never valid when the user's is not. Its key is in memory only, of processes that mint with the same CA.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from lbproxy.auth.certificate import ClientCertificate, alternative_names, extension, tolerant_of_names
from lbproxy.auth.library import ec, ed448, ed25519, hashes, rsa, serialization, x509

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    _IssuerKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey

CACHE_SIZE = 1024
"""User certificates whose minted ones are kept: those used last. Each holds about 2 KB."""

CLOCK_SKEW = 300.0
"""Seconds that a backend's clock may be late: so long ago a minted certificate starts. Kerberos allows as much."""


class MintError(ValueError):
    """A CA that cannot mint, or a user whose certificate cannot be followed; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Minted:
    """A minted certificate, followed by the CA's, and its key (PKCS #8, not encrypted), both in PEM.

    It must not be used from `expires` on (seconds since the epoch): that is its notAfter.
    """

    certificate_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)
    expires: float


class MintedRecord(TypedDict):
    """A `Minted` for another process: `ca` and `user` are SHA-256 fingerprints of certificates, in hexadecimal.

    It has a private key in it, so it must reach no disk and no log.
    """

    ca: str
    user: str
    certificate: str
    key: str
    expires: float
    renewal: float


class _Kept(NamedTuple):
    minted: Minted
    renewal: float  # from then on less than half of its life is left

    def serves(self, now: float, end: float) -> bool:
        """Whether it will do at `now`, when a new one could last until `end`.

        One that ends later must not be used: the user may have come with a chain that ends sooner.
        """
        return self.minted.expires == end or (self.minted.expires < end and now < self.renewal)


class Mint:
    """Makes certificates with the key of a CA: one for each user certificate, until its life is half over.

    `certificate` is the CA's, `name` its subject (RFC 4514), and `ends` when it does, in seconds since the epoch. The
    callables in `on_minted` are told of each user's that was made.
    """

    def __init__(self, ca_certificate: x509.Certificate, ca_key: PrivateKeyTypes, lifetime: float) -> None:
        """`lifetime` (seconds) is the longest that a minted certificate lasts. Raises MintError for an unfit CA."""
        if lifetime < 1:
            raise MintError("a minted certificate must last a second at least")
        self.certificate = ca_certificate
        self._fingerprint = ca_certificate.fingerprint(hashes.SHA256()).hex()
        self.on_minted: list[Callable[[MintedRecord], None]] = []
        with tolerant_of_names():
            self._issuer = ca_certificate.subject
            self.name = self._issuer.rfc4514_string()
        self._key = _checked_key(ca_certificate, ca_key)
        self._lifetime = lifetime
        self._starts = ca_certificate.not_valid_before_utc.timestamp()
        self.ends = ca_certificate.not_valid_after_utc.timestamp()
        self._authority_key = _authority_key(ca_certificate)
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()  # by fingerprint, the one used last at the end

    def mint(self, user: ClientCertificate, now: float) -> Minted:
        """The certificate to use for `user` at `now` (seconds since the epoch), made if there is none that will do.

        Raises MintError when none can be given: the user's chain or the CA is not valid at `now`, or the user's
        certificate has no name.
        """
        if now >= user.earliest_end:
            raise MintError("the user's certificate, or one that it rests on, has expired")
        end = self._end(now, user.earliest_end)
        kept = self._kept.get(user.fingerprint)
        if kept is None or not kept.serves(now, end):
            kept = _Kept(self._make_for(user, now, end), renewal=(now + end) / 2)
            for listener in self.on_minted:
                listener(self._minted_record(user.fingerprint, kept))
        self._keep(user.fingerprint, kept)
        return kept.minted

    def issue(self, subject: x509.Name, now: float) -> Minted:
        """A certificate of `subject`, which should be no user's, good from `now` on; it is not kept.

        Raises MintError when the CA is not valid at `now`.
        """
        return self._make(subject, None, now - CLOCK_SKEW, self._end(now, self.ends))

    def minted_records(self) -> list[MintedRecord]:
        """Everything that is kept, what was used last at the end."""
        return [self._minted_record(fingerprint, kept) for fingerprint, kept in self._kept.items()]

    def remember(self, minted_record: MintedRecord) -> None:
        """Use what another process has made, if its CA is this one."""
        if minted_record["ca"] == self._fingerprint:
            minted = Minted(
                minted_record["certificate"].encode(), minted_record["key"].encode(), minted_record["expires"]
            )
            self._keep(bytes.fromhex(minted_record["user"]), _Kept(minted, minted_record["renewal"]))

    def __repr__(self) -> str:
        return f"<mint of {self.name!a}, {len(self._kept)} kept>"

    def _keep(self, fingerprint: bytes, kept: _Kept) -> None:
        self._kept[fingerprint] = kept
        self._kept.move_to_end(fingerprint)
        if len(self._kept) > CACHE_SIZE:
            self._kept.popitem(last=False)

    def _minted_record(self, fingerprint: bytes, kept: _Kept) -> MintedRecord:
        minted = kept.minted
        return {
            "ca": self._fingerprint,
            "user": fingerprint.hex(),
            "certificate": minted.certificate_pem.decode(),
            "key": minted.key_pem.decode(),
            "expires": minted.expires,
            "renewal": kept.renewal,
        }

    def _end(self, now: float, latest: float) -> int:
        """The end of a certificate made now, in whole seconds, as X.509 has them; no later than `latest`."""
        if not self._starts <= now < self.ends:
            raise MintError("the mint's CA certificate is not valid now")
        return int(min(latest, self.ends, now + self._lifetime))

    def _make_for(self, user: ClientCertificate, now: float, end: int) -> Minted:
        leaf = x509.load_der_x509_certificate(user.leaf)
        with tolerant_of_names():
            subject, alternatives = leaf.subject, alternative_names(leaf)
        starts = max(now - CLOCK_SKEW, leaf.not_valid_before_utc.timestamp())
        if starts > now:
            raise MintError("the user's certificate is not valid yet")
        if alternatives is None and not subject.rdns:
            raise MintError("the user's certificate names nobody")
        return self._make(subject, alternatives, starts, end)

    def _make(
        self, subject: x509.Name, alternatives: x509.SubjectAlternativeName | None, starts: float, end: int
    ) -> Minted:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certificate(subject, alternatives, key.public_key(), starts, end)
        return Minted(
            certificate_pem=certificate.public_bytes(serialization.Encoding.PEM)
            + self.certificate.public_bytes(serialization.Encoding.PEM),
            key_pem=key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
            expires=float(end),
        )

    def _certificate(
        self,
        subject: x509.Name,
        alternatives: x509.SubjectAlternativeName | None,
        key: ec.EllipticCurvePublicKey,
        starts: float,
        end: int,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.fromtimestamp(int(starts), UTC))
            .not_valid_after(datetime.fromtimestamp(end, UTC))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_signs_only(), critical=True)
            .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(self._authority_key, critical=False)
        )
        if alternatives is not None:
            # RFC 5280 section 4.2.1.6: critical if, and only if, the subject is empty.
            builder = builder.add_extension(alternatives, critical=not subject.rdns)
        return builder.sign(self._key, _digest(self._key))


def _signs_only() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _checked_key(ca: x509.Certificate, key: PrivateKeyTypes) -> _IssuerKey:
    """The CA's key, known to be fit for issuing. Raises MintError."""
    if not isinstance(
        key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
    ):
        raise MintError("the mint's key is of a kind that cannot sign certificates")
    if key.public_key() != ca.public_key():
        raise MintError("the mint's key is not that of its CA certificate")
    try:
        constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = ca.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as error:
        raise MintError(f"the mint's certificate is not that of a CA: it has no {error.oid._name}") from None
    if not constraints.ca:
        raise MintError("the mint's certificate is not that of a CA: basicConstraints has CA:FALSE")
    if not usage.key_cert_sign:
        raise MintError("the mint's certificate is not that of a CA: keyUsage has no keyCertSign")
    return key


def _authority_key(ca: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """RFC 5280 section 4.2.1.1: the CA's own subjectKeyIdentifier, which need not be the usual hash of its key."""
    own = extension(ca, x509.SubjectKeyIdentifier)
    if own is None:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key())  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _digest(key: _IssuerKey) -> hashes.SHA256 | None:
    """EdDSA has its own hash inside (RFC 8410)."""
    return None if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()
