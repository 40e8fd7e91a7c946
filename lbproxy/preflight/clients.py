"""What judges users' certificates, and what is made in users' names."""

from __future__ import annotations

from pathlib import Path

from lbproxy.auth.library import x509
from lbproxy.auth.mint import Mint, MintError
from lbproxy.auth.probe_identity import permits
from lbproxy.config import ListenerTls
from lbproxy.config import Mint as MintTable
from lbproxy.net.tls import certificates
from lbproxy.net.tls.files import read_certificates, read_revocation_lists
from lbproxy.net.tls.revocation import RevocationLists
from lbproxy.preflight.certificates import inspect_bundle, read
from lbproxy.preflight.report import Report
from lbproxy.runtime.probe_certificate import probe_subject


def inspect_clients(report: Report, where: str, tls: ListenerTls) -> None:
    """The files about users in the table at `where`, [listener.NAME.tls]."""
    asking = report if tls.asks_clients else report.of_unused()
    authorities: list[x509.Certificate] = []
    if tls.client_ca is not None:
        authorities = _inspect_authorities(asking, f"{where}.client_ca", tls.client_ca)
    if tls.client_crl:
        required = tls.client_certificate == "required"
        _inspect_lists(asking, f"{where}.client_crl", tls.client_crl, authorities, required)
    if tls.mint is not None:
        minting = report if tls.minting is not None else report.of_unused()
        _inspect_mint(minting, f"{where}.mint", tls.mint, authorities)


def _inspect_authorities(report: Report, where: str, path: Path) -> list[x509.Certificate]:
    valid = inspect_bundle(report, where, path)
    authorities = [each for each in valid if certificates.is_authority(each)]
    if valid and not authorities:
        report.problem(where, f"no certificate in {path} is that of an authority, so nobody's would be accepted")
    return authorities


def _inspect_lists(
    report: Report, where: str, paths: tuple[Path, ...], authorities: list[x509.Certificate], required: bool
) -> None:
    """With lists given, a user is refused unless each authority in the chain has one that is good now: fail closed.

    Where a certificate is required, an authority without a list shuts out all its users. That prevents no start: the
    next list is picked up when it comes.
    """
    tell = report.tolerate if required else report.warning
    read = [
        (f"{where}[{position}]", each, report.revocation_list(f"{where}[{position}]", each))
        for position, path in enumerate(paths)
        for each in _read_lists(report, f"{where}[{position}]", path)
    ]
    good = [each for _, each, fault in read if fault is None]
    for place, each, fault in read:
        if fault is not None and any(other.issuer == each.issuer for other in good):
            report.warning(place, f"{fault}; another one of this authority is used")
        elif fault is not None:
            tell(place, f"{fault}; users of this authority are refused")
    for authority in authorities:
        if not any(certificates.has_issued(authority, each) for each in good):
            subject = certificates.subject(authority)
            tell(where, f"no valid revocation list of {subject}, which client_ca has: its users are refused")


def _read_lists(report: Report, where: str, path: Path) -> list[x509.CertificateRevocationList]:
    """The lists in one file, if a listener would use it."""
    try:
        lists = read_revocation_lists(path)
        RevocationLists([path])  # whatever a listener would not use, it refuses
    except ValueError as error:
        report.problem(where, str(error))
        return []
    return lists


def _inspect_mint(report: Report, where: str, mint: MintTable, authorities: list[x509.Certificate]) -> None:
    chain = read(report, f"{where}.ca_certificate", mint.ca_certificate)
    try:
        key = certificates.read_key(mint.ca_key)
        if chain:
            certificates.check_key(chain[0], mint.ca_certificate, key, mint.ca_key)
    except ValueError as error:
        report.problem(f"{where}.ca_key", str(error))
        return
    _inspect_secrecy(report, f"{where}.ca_key", mint.ca_key)
    if not chain:
        return
    try:
        Mint(chain[0], key, mint.lifetime)
    except MintError as error:
        report.problem(f"{where}.ca_certificate", f"{mint.ca_certificate}: {error}")
    else:
        _inspect_issuer(report, f"{where}.ca_certificate", chain[0], authorities)


def inspect_probe_identity(report: Report, where: str, mint: MintTable, identity: str | None) -> None:
    """The subject that probes appear with, at the key `where`, against the name constraints of the mint's authority."""
    try:
        authority = read_certificates(mint.ca_certificate)[0]
    except ValueError:
        return  # told of already
    subject = probe_subject(authority, identity)
    if not permits(authority, subject):
        name, issuer = subject.rfc4514_string(), certificates.subject(authority)
        text = f"the name constraints of {issuer} do not permit {name}: connectors that honour them refuse the probes"
        report.problem(where, text)


def _inspect_secrecy(report: Report, where: str, key: Path) -> None:
    if key.stat().st_mode & 0o007:
        report.warning(where, f"{key} is open to every account of this machine, and whoever has it can be any user")


def _inspect_issuer(report: Report, where: str, issuer: x509.Certificate, authorities: list[x509.Certificate]) -> None:
    """The mint's CA: it can be any user of the connectors, so it had better be able to do nothing else."""
    if fault := report.certificate(where, issuer):
        report.problem(where, fault)
    subject = certificates.subject(issuer)
    if certificates.path_length(issuer) != 0:
        report.warning(
            where,
            f"the certificate of {subject} has no pathLen 0, so its key can make other authorities too; "
            "name constraints would narrow it further, where connectors honour them",
        )
    if issuer in authorities:
        report.warning(where, f"client_ca has {subject} too: with its key, one could sign in here as any user")
