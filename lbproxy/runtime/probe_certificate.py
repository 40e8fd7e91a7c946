"""The certificate that lbproxy's own connections show to a pool's backends: a minted one, its own, or none."""

from __future__ import annotations

import time

from lbproxy import config as settings
from lbproxy.auth.library import x509
from lbproxy.auth.mint import Mint, Minted, MintError
from lbproxy.auth.probe_identity import ProbeIdentity, default_subject
from lbproxy.config import Config
from lbproxy.errors import StartError
from lbproxy.net.tls import certificates
from lbproxy.net.tls.files import read_certificates


class NoIdentityError(OSError):
    """No certificate can be minted for the probe now; the text says why."""


class Identity:
    """What is minted for the probes of one pool. `question` is to be asked where a backend refuses it."""

    def __init__(self, probe: ProbeIdentity) -> None:
        self._probe = probe
        self.question = f"does its CA_CERT contain the mint ({probe.mint.name})?"

    def __repr__(self) -> str:
        return f"<identity {self._probe!r}>"

    def current(self) -> Minted:
        """The certificate of now: the same object until there is a new one. Raises NoIdentityError."""
        try:
            return self._probe.current(time.time())
        except MintError as error:
            raise NoIdentityError(f"no certificate for the probe: {error}") from error


def make_identity(config: Config, pool: str) -> Identity | None:
    """That of the probes of `pool`, if users' certificates are minted for its backends. Raises StartError.

    Where several listeners do that, it is minted by the first one's mint.
    """
    for name, table in config.mints(pool).items():
        mint = make_mint(name, table)
        subject = config.pools[pool].check.identity
        return Identity(ProbeIdentity(mint, probe_subject(mint.certificate, subject)))
    return None


def make_mint(listener: str, table: settings.Mint) -> Mint:
    """The mint of a listener. Raises StartError."""
    try:
        certificate = read_certificates(table.ca_certificate)[0]
        return Mint(certificate, certificates.read_key(table.ca_key), table.lifetime)
    except ValueError as error:  # MintError is one
        raise StartError(f"listener.{listener}.tls.mint: {error}") from error


def probe_subject(ca: x509.Certificate, identity: str | None) -> x509.Name:
    """`check.identity`, or else what the mint's authority permits."""
    return default_subject(ca) if identity is None else x509.Name.from_rfc4514_string(identity)


def question(tls: settings.PoolTls, identity: Identity | None) -> str:
    """What to ask where a backend refuses the certificate that is shown to it; empty where none is shown."""
    if identity is not None:
        return identity.question
    return "" if tls.certificate is None else f"does it trust the issuer of {tls.certificate}?"
