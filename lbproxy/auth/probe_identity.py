"""The certificate that lbproxy's own probes show to backends which believe a mint, and the name in it."""

from __future__ import annotations

from lbproxy.auth.certificate import extension
from lbproxy.auth.library import x509
from lbproxy.auth.mint import Mint, Minted

COMMON_NAME = "lbproxy probe"
"""Of the subject that is used when none is given. No user should have it."""


class ProbeIdentity:
    """A certificate of `subject`, minted when it is asked for first, and anew when half of its life is over."""

    def __init__(self, mint: Mint, subject: x509.Name) -> None:
        self.mint = mint
        self.subject = subject
        self._current: Minted | None = None
        self._renewal = 0.0

    def __repr__(self) -> str:
        return f"<probe identity {self.subject.rfc4514_string()!a} of {self.mint.name!a}>"

    def current(self, now: float) -> Minted:
        """The same object until it is time for a new one. `now` is in seconds since the epoch.

        Raises MintError when the mint's CA is not valid at `now`.
        """
        if self._current is None or now >= self._renewal:
            self._current = self.mint.issue(self.subject, now)
            self._renewal = (now + self._current.expires) / 2
        return self._current


def default_subject(ca: x509.Certificate) -> x509.Name:
    """CN=lbproxy probe, below the first directory name that the name constraints of `ca` permit, if they have any."""
    base = next(iter(_directory_names(_constraints(ca)[0])), x509.Name([]))
    return x509.Name(
        [*base.rdns, x509.RelativeDistinguishedName([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, COMMON_NAME)])]
    )


def permits(ca: x509.Certificate, subject: x509.Name) -> bool:
    """Whether a verifier that honours the name constraints of `ca` takes `subject` (RFC 5280 section 4.2.1.10)."""
    permitted, excluded = map(_directory_names, _constraints(ca))
    below = [_is_below(subject, each) for each in permitted]
    return (any(below) or not below) and not any(_is_below(subject, each) for each in excluded)


def _constraints(ca: x509.Certificate) -> tuple[list[x509.GeneralName], list[x509.GeneralName]]:
    """What is permitted, and what is excluded."""
    found = extension(ca, x509.NameConstraints)
    return ([], []) if found is None else ([*(found.permitted_subtrees or ())], [*(found.excluded_subtrees or ())])


def _directory_names(names: list[x509.GeneralName]) -> list[x509.Name]:
    return [name.value for name in names if isinstance(name, x509.DirectoryName)]


def _is_below(subject: x509.Name, base: x509.Name) -> bool:
    """Whether `subject` begins with `base` (RFC 5280 section 7.1: letters' case does not count)."""
    return _comparable(subject)[: len(base.rdns)] == _comparable(base)


def _comparable(name: x509.Name) -> list[frozenset[tuple[str, str]]]:
    return [
        frozenset((attribute.oid.dotted_string, " ".join(str(attribute.value).split()).casefold()) for attribute in rdn)
        for rdn in name.rdns
    ]
