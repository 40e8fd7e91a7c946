"""Where a proxy serves a scenario, and with what: all that its configuration is written from."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.heads import HOST
from bench.load.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Certificate:
    """A P-256 certificate for HOST: `chain` and `key` apart, and `both` in one file, as HAProxy wants it."""

    chain: Path
    key: Path
    both: Path

    @classmethod
    def write(cls, directory: Path) -> Certificate:
        """Make one that signs itself and is good for a day."""
        key = ec.generate_private_key(ec.SECP256R1())
        key_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        chain_pem = _self_signed(key).public_bytes(serialization.Encoding.PEM)
        certificate = cls(directory / "chain.pem", directory / "key.pem", directory / "both.pem")
        certificate.chain.write_bytes(chain_pem)
        certificate.key.write_bytes(key_pem)
        certificate.both.write_bytes(chain_pem + key_pem)
        return certificate


@dataclass(frozen=True, slots=True)
class Site:
    """One proxy in one scenario.

    It listens on 127.0.0.1:`port`, in front of `backends` (ports of 127.0.0.1), for so many client connections;
    what it writes goes to `directory`. `log` is its access log, the file that its standard output goes to as well.
    """

    name: str
    directory: Path
    port: int
    backends: tuple[int, ...]
    scenario: Scenario
    connections: int
    certificate: Certificate

    @property
    def scheme(self) -> str:
        return "https" if self.scenario.tls else "http"

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name}.out"

    def write(self, text: str) -> Path:
        """Write the proxy's configuration file."""
        path = self.directory / f"{self.name}.conf"
        path.write_text(text)
        return path


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    hour, day = datetime.timedelta(hours=1), datetime.timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - hour)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
