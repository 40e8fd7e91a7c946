"""Certificates that are ours to show, with their keys, and authorities that we believe."""

from __future__ import annotations

from pathlib import Path

from lbproxy.auth.library import x509
from lbproxy.net.tls import certificates
from lbproxy.net.tls.files import check_authorities, read_certificates
from lbproxy.preflight.report import Report


def read(report: Report, where: str, path: Path) -> list[x509.Certificate]:
    """The certificates in the file at `path`, none when it cannot be used, which is a problem."""
    try:
        return read_certificates(path)
    except ValueError as error:
        report.problem(where, str(error))
        return []


def inspect_pair(report: Report, where: str, certificate: Path, key: Path) -> x509.Certificate | None:
    """A chain and the key of its first certificate, which is returned; `where` is the table that names both."""
    chain = read(report, f"{where}.certificate", certificate)
    for each in chain:
        if fault := report.certificate(f"{where}.certificate", each):
            report.problem(f"{where}.certificate", fault)
    try:
        if chain:
            certificates.check_pair(certificate, key)
        else:
            certificates.read_key(key)
    except ValueError as error:
        report.problem(f"{where}.key", str(error))
    return chain[0] if chain else None


def inspect_bundle(report: Report, where: str, path: Path) -> list[x509.Certificate]:
    """Authorities: a bundle may well hold one that has expired; it is useless only when all have. Returns the good."""
    bundle = read(report, where, path)
    faults = [report.certificate(where, each) for each in bundle]
    good = [each for each, fault in zip(bundle, faults, strict=True) if fault is None]
    try:
        if bundle:
            check_authorities(bundle, path)
    except ValueError as error:
        report.problem(where, str(error))
    for fault in filter(None, faults):
        report.warning(where, f"{fault}; it vouches for nobody")
    if bundle and not good:
        report.problem(where, f"no certificate in {path} is valid now")
    return good
