"""What a valid configuration names outside itself: does it exist, does it fit, may it be used.

`lbproxy check` prints the report; `run` refuses to start with a problem in it, because TLS that cannot verify its
peer, or a log that cannot be written, must not be found out by a user.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from lbproxy.config import Config, KerberosCheck, Listener, ListenerTls, Pool
from lbproxy.config.keys import full_name
from lbproxy.control.probes.kerberos.failures import KerberosFailure
from lbproxy.errors import MissingExtraError, Problem
from lbproxy.process import pem

EXPIRES_SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that the key `where` of the configuration names; `left` is negative once it has expired."""

    where: str
    subject: str
    expires: datetime
    left: timedelta


@dataclass(slots=True)
class Report:
    """What was found: `problems` prevent a start, `warnings` do not."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    certificates: list[Certificate] = field(default_factory=list)

    def problem(self, where: str, text: str) -> None:
        self.problems.append(Problem(where, text))

    def warning(self, where: str, text: str) -> None:
        self.warnings.append(Problem(where, text))


def inspect(config: Config, now: datetime) -> Report:
    """Open every file that `config` names; `now` is aware and decides what has expired. Nothing is created."""
    report = Report()
    for name, listener in config.listeners.items():
        _inspect_socket(report, full_name(("listener", name, "bind")), listener.bind.path)
        if listener.tls is not None:
            where = full_name(("listener", name, "tls"))
            _inspect_listener_tls(report, where, listener.tls, now)
            _inspect_coverage(report, f"{where}.certificate", config, listener, listener.tls)
    for name, pool in config.pools.items():
        _inspect_pool_tls(report, full_name(("pool", name, "tls")), pool, now)
        if pool.check.kerberos is not None:
            _inspect_kerberos(report, full_name(("pool", name, "check")), pool.check.kerberos)
    if isinstance(config.access_log.path, Path):
        _inspect_log(report, "access_log.path", config.access_log.path)
    _inspect_socket(report, "admin.bind", config.admin.bind.path)
    return report


def _inspect_listener_tls(report: Report, where: str, tls: ListenerTls, now: datetime) -> None:
    chain = _read_certificates(report, f"{where}.certificate", tls.certificate)
    for certificate in chain:
        _inspect_validity(report, f"{where}.certificate", certificate, now)
    try:
        if chain:
            pem.check_pair(tls.certificate, tls.key)
        else:
            pem.read_key(tls.key)
    except ValueError as error:
        report.problem(f"{where}.key", str(error))


def _inspect_coverage(report: Report, where: str, config: Config, listener: Listener, tls: ListenerTls) -> None:
    """Only a warning: a balancer in front of this one may end the TLS that users see."""
    if not {"*", config.server_host} & set(listener.hosts):
        return
    try:
        leaf = pem.read_certificates(tls.certificate)[0]
    except ValueError:
        return
    if not pem.covers(leaf, config.server_host):
        report.warning(where, f"the certificate of {pem.subject(leaf)} is not for {config.server_host} (server_url)")


def _inspect_pool_tls(report: Report, where: str, pool: Pool, now: datetime) -> None:
    if not pool.tls.verify:
        report.warning(f"{where}.verify", "whoever answers at a backend's address is believed")
    if pool.tls.ca is not None:
        _inspect_ca(report, f"{where}.ca", pool.tls.ca, now)


def _inspect_ca(report: Report, where: str, path: Path, now: datetime) -> None:
    """A bundle may well hold an authority that has expired; it is useless only when all have."""
    bundle = _read_certificates(report, where, path)
    usable = [certificate for certificate in bundle if certificate.not_valid_after_utc >= now]
    if usable:
        _inspect_validity(report, where, min(usable, key=lambda one: one.not_valid_after_utc), now)
    elif bundle:
        report.problem(where, f"every certificate in {path} has expired")


def _read_certificates(report: Report, where: str, path: Path) -> list[x509.Certificate]:
    """The certificates in the file at `path`, none when it cannot be used."""
    try:
        return pem.read_certificates(path)
    except ValueError as error:
        report.problem(where, str(error))
        return []


def _inspect_validity(report: Report, where: str, certificate: x509.Certificate, now: datetime) -> None:
    begins, expires = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    found = Certificate(where, pem.subject(certificate), expires, expires - now)
    report.certificates.append(found)
    if expires < now:
        report.problem(where, f"the certificate of {found.subject} expired on {expires:%Y-%m-%d}")
    elif begins > now:
        report.problem(where, f"the certificate of {found.subject} is not valid before {begins:%Y-%m-%d}")
    elif found.left < EXPIRES_SOON:
        report.warning(where, f"the certificate of {found.subject} expires in {found.left.days} days")


def _inspect_kerberos(report: Report, where: str, kerberos: KerberosCheck) -> None:
    try:
        from lbproxy.control.probes.kerberos.credentials import check_keytab  # it needs an optional dependency

        check_keytab(kerberos.keytab, kerberos.principal)
    except MissingExtraError as error:
        report.problem(f"{where}.kind", str(error))
    except KerberosFailure as failure:
        report.problem(f"{where}.kerberos.keytab", failure.detail)


def _inspect_log(report: Report, where: str, path: Path) -> None:
    if path.is_dir():
        report.problem(where, f"{path} is a directory")
    elif path.exists():
        if not os.access(path, os.W_OK):
            report.problem(where, f"{path} may not be written")
    else:
        _inspect_directory(report, where, path.parent)


def _inspect_socket(report: Report, where: str, path: Path | None) -> None:
    """A Unix socket's directory is made when it is missing, and a socket that a dead process left is replaced."""
    if path is None:
        return
    if path.exists() and not path.is_socket():
        report.problem(where, f"{path} exists and is not a socket")
    _inspect_directory(report, where, next(parent for parent in path.parents if parent.exists()))


def _inspect_directory(report: Report, where: str, path: Path) -> None:
    if not path.is_dir():
        report.problem(where, f"{path} is not a directory")
    elif not os.access(path, os.W_OK | os.X_OK):
        report.problem(where, f"the directory {path} may not be written")
