"""A user's verified client certificate, and the header lines that tell a backend of it.

Two forms are spoken: RFC 9440 (Client-Cert and Client-Cert-Chain), and Envoy's x-forwarded-client-cert. The latter has
the effect of Envoy's SANITIZE_SET: what a client or a proxy in front says of certificates is dropped (`wire.headers`),
and what is written here is all that a backend gets. A subject may hold any character, so every value is encoded into
printable ASCII: nothing in a certificate can end a line, a quoted value or an element.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Literal, TypeVar
from urllib.parse import quote

from lbproxy.auth.library import x509

_Extension = TypeVar("_Extension", bound="x509.ExtensionType")

IdentityKind = Literal["none", "rfc9440", "xfcc", "mint"]
"""How a backend learns the user's name; with `mint` by the certificate of the lane (`auth.mint`), so by no header."""


@dataclass(frozen=True, slots=True, repr=False)
class ClientCertificate:
    """What is known of a client certificate whose chain was verified. Plain values, and no parsed certificate is kept.

    Names are RFC 4514 strings, in Unicode, with any control character that the certificate has; times are seconds since
    the epoch. `issued` has the issuer's name (DER) and the serial number of every certificate of the chain, leaf first:
    that is what a revocation list names. `earliest_end` is the first notAfter in the chain.
    """

    chain: tuple[bytes, ...]  # DER, leaf first
    fingerprint: bytes  # SHA-256 of the leaf's DER
    subject: str
    issuer: str
    name: str  # for logs: the common name, else the subject, the first URI or DNS name, the serial number
    serial: int
    not_after: float
    earliest_end: float
    issued: tuple[tuple[bytes, int], ...]
    uris: tuple[str, ...]
    dns_names: tuple[str, ...]

    @classmethod
    def from_chain(cls, chain: Sequence[bytes]) -> ClientCertificate:
        """Read a verified chain, in DER, leaf first. Nothing is verified here.

        Raises ValueError when a name or one of the leaf's extensions cannot be read, although TLS has accepted it: an
        identity that is not understood is not passed on. (OpenSSL reads more than X.680 allows, such as an `@` in a
        PrintableString.)
        """
        if not chain:
            raise ValueError("a chain without a certificate")
        with understanding("a certificate that cannot be read", why=True):
            return cls._read(chain)

    @classmethod
    def _read(cls, chain: Sequence[bytes]) -> ClientCertificate:
        certificates = [x509.load_der_x509_certificate(der) for der in chain]
        leaf = certificates[0]
        alternatives = alternative_names(leaf) or ()
        uris = tuple(name.value for name in alternatives if isinstance(name, x509.UniformResourceIdentifier))
        dns_names = tuple(name.value for name in alternatives if isinstance(name, x509.DNSName))
        subject = _rfc4514(leaf.subject)
        return cls(
            chain=tuple(chain),
            fingerprint=hashlib.sha256(chain[0]).digest(),
            subject=subject,
            issuer=_rfc4514(leaf.issuer),
            name=next(
                filter(None, (_common_name(leaf.subject), subject, *uris, *dns_names)), f"serial {leaf.serial_number:x}"
            ),
            serial=leaf.serial_number,
            not_after=leaf.not_valid_after_utc.timestamp(),
            earliest_end=min(certificate.not_valid_after_utc.timestamp() for certificate in certificates),
            issued=tuple((each.issuer.public_bytes(), each.serial_number) for each in certificates),
            uris=uris,
            dns_names=dns_names,
        )

    @property
    def leaf(self) -> bytes:
        """The user's own certificate, in DER."""
        return self.chain[0]

    def __repr__(self) -> str:
        until = datetime.fromtimestamp(self.not_after, UTC)
        return f"<client certificate {self.name!a}, serial {self.serial:x}, until {until:%Y-%m-%dT%H:%M:%SZ}>"


@contextmanager
def tolerant_of_names() -> Iterator[None]:
    """Read names longer than X.520 allows without cryptography's warning: a CA has issued them all the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def understanding(fault: str, *, why: bool = False) -> Iterator[None]:
    """Have everything that cryptography raises, for bytes that it does not understand, be a ValueError with `fault`.

    why: whether cryptography's own words follow; those for what is no PEM at all are of no help. The classes have no
    base of their own but Exception: certificates, lists and keys with a few bits changed raise ValueError, TypeError,
    KeyError, UnsupportedAlgorithm, InternalError, and five of x509's.
    """
    try:
        with tolerant_of_names():
            yield
    except Exception as error:
        raise ValueError(f"{fault}: {error}" if why else fault) from error


def extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """What the extension `kind` of a certificate says, if it has that one."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    """The subject alternative names of a certificate, if it has that extension."""
    return extension(certificate, x509.SubjectAlternativeName)


def identity_lines(kind: IdentityKind, certificate: ClientCertificate | None, listener_uri: str | None = None) -> bytes:
    """The header lines, each with its CRLF, that tell a backend the user's name; b"" if there is nothing to tell.

    `listener_uri` is the URI among the alternative names of the listener's own certificate, for XFCC's `By`.
    """
    if certificate is None:
        return b""
    match kind:
        case "rfc9440":
            return _rfc9440(certificate)
        case "xfcc":
            return _xfcc(certificate, listener_uri)
        case "none" | "mint":
            return b""


def _rfc9440(certificate: ClientCertificate) -> bytes:
    """RFC 9440 sections 2.2 and 2.3.

    The rest of the chain goes in whole: its root "MAY be omitted [...] provided that the target origin server is known
    to possess the omitted trust anchor", which lbproxy cannot know. An empty List has no line (RFC 8941 section 3.1).
    """
    leaf, *rest = map(_byte_sequence, certificate.chain)
    lines = b"Client-Cert: %b\r\n" % leaf
    return lines + b"Client-Cert-Chain: %b\r\n" % b", ".join(rest) if rest else lines


def _byte_sequence(der: bytes) -> bytes:
    """RFC 8941 section 3.3.5, as RFC 9440 section 2.1 has it."""
    return b":%b:" % b64encode(der)


def _xfcc(certificate: ClientCertificate, listener_uri: str | None) -> bytes:
    """One element with every key that Envoy knows, in its order ("HTTP header manipulation" in its documentation).

    `Subject` and `URI` are there even if they are empty. `Chain` has the leaf too.
    """
    pems = [quote(_pem(der), safe="") for der in certificate.chain]
    pairs = [
        *([] if listener_uri is None else [f"By={_uri(listener_uri)}"]),
        f"Hash={certificate.fingerprint.hex()}",
        f'Cert="{pems[0]}"',
        f'Chain="{"".join(pems)}"',
        f'Subject="{_printable(certificate.subject)}"',
        *(f"URI={_uri(uri)}" for uri in certificate.uris or ("",)),
        *(f"DNS={_uri(name)}" for name in certificate.dns_names),
    ]
    return b"X-Forwarded-Client-Cert: %b\r\n" % ";".join(pairs).encode("ascii")


def _pem(der: bytes) -> str:
    """RFC 7468 section 2: lines of 64 characters."""
    text = b64encode(der).decode("ascii")
    lines = (text[at : at + 64] for at in range(0, len(text), 64))
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""))


_URI_CHARACTERS = ":/?#[]@!$&'()*+,;=%"
"""RFC 3986 section 2: reserved, and the percent sign; what is unreserved is never encoded."""


def _uri(uri: str) -> str:
    """A URI or a DNS name as a value: in quotes if it has a separator, which Envoy's documentation asks for.

    What no URI may have (quotes, backslashes, spaces, control characters, anything not ASCII) is percent-encoded.
    """
    text = quote(uri, safe=_URI_CHARACTERS)
    return f'"{text}"' if any(separator in text for separator in ",;=") else text


def _printable(subject: str) -> str:
    r"""An RFC 4514 string to put in quotes, as Envoy does: what is not printable ASCII is `\XX` a byte (section 2.4).

    A double quote is `\"`, which RFC 4514 and XFCC agree on. A backslash is `\5C`, where Envoy has two: a reader that
    only looks for `\"` would take the second one, at the end of a subject, for the escape of the closing quote.
    """
    text = subject.replace(r"\\", r"\5C")
    return re.sub(r"[^ -~]", lambda found: "".join(f"\\{byte:02X}" for byte in found[0].encode()), text)


def _rfc4514(name: x509.Name) -> str:
    return name.rfc4514_string(_short_names())


@cache
def _short_names() -> dict[x509.ObjectIdentifier, str]:
    """OpenSSL's, as Envoy writes them, for what RFC 4514 section 3 leaves to be written as numbers."""
    names = x509.oid.NameOID
    return {
        names.EMAIL_ADDRESS: "emailAddress",
        names.SERIAL_NUMBER: "serialNumber",
        names.SURNAME: "SN",
        names.GIVEN_NAME: "GN",
        names.TITLE: "title",
    }


def _common_name(name: x509.Name) -> str:
    """The last of several is the most specific one."""
    values = [attribute.value for attribute in name.get_attributes_for_oid(x509.oid.NameOID.COMMON_NAME)]
    return str(values[-1]) if values else ""
