"""Logs, sockets, keytabs and secrets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from lbproxy import files
from lbproxy.config import Discover, KerberosCheck
from lbproxy.control.probes.kerberos.failures import KerberosFailure
from lbproxy.errors import MissingExtraError
from lbproxy.preflight.report import Report


def inspect_kerberos(report: Report, where: str, kerberos: KerberosCheck) -> None:
    """The keytab of the table at `where`, [pool.NAME.check.kerberos], and what is needed to use it."""
    try:
        from lbproxy.control.probes.kerberos.sign_in import check_keytab  # it needs an optional dependency

        check_keytab(kerberos.keytab, kerberos.principal)
    except MissingExtraError as error:
        report.problem(where, str(error))
    except KerberosFailure as failure:
        report.problem(f"{where}.keytab", failure.detail)


def inspect_kubeconfig(report: Report, where: str, discover: Discover) -> None:
    """The kubeconfig of the table at `where`, [pool.NAME.discover], if there is one, and what is needed to use it."""
    path = discover.kubeconfig
    if path is None:
        return
    if find_spec("kubernetes_asyncio") is None:  # not imported: that takes a moment
        report.problem(f"{where}.kubeconfig", str(MissingExtraError("kubeconfig", "kubernetes")))
        return
    try:
        files.read(path)
    except OSError as error:
        report.problem(f"{where}.kubeconfig", f"{path}: {error.strerror}")


SHORTEST_SECRET = 32
"""Bytes."""


def inspect_secret(report: Report, where: str, path: Path) -> None:
    """A file with random bytes, which only those who serve should be able to read."""
    try:
        length = len(files.read(path))
        is_open = path.stat().st_mode & 0o007
    except OSError as error:
        report.problem(where, f"{path}: {error.strerror}")
        return
    if length < SHORTEST_SECRET:
        report.problem(where, f"{path} has {length} bytes; a secret has at least {SHORTEST_SECRET}")
    elif is_open:
        text = f"{path} is open to every account of this machine, and whoever has it can read what is shared"
        report.warning(where, text)


def inspect_log(report: Report, where: str, path: Path) -> None:
    """A file that is appended to, or made."""
    with _whatever_is_hidden(report, where):
        if report.will_make(path):
            return
        if path.is_dir():
            report.problem(where, f"{path} is a directory")
        elif path.exists():
            if not os.access(path, os.W_OK):
                report.problem(where, f"{path} may not be written")
        else:
            _inspect_directory(report, where, path.parent)


def inspect_socket(report: Report, where: str, path: Path | None) -> None:
    """A Unix socket's directory is made when it is missing, and a socket that a dead process left is replaced."""
    if path is None:
        return
    with _whatever_is_hidden(report, where):
        if report.will_make(path):
            return
        if path.exists() and not path.is_socket():
            report.problem(where, f"{path} exists and is not a socket")
        _inspect_directory(report, where, next(parent for parent in path.parents if parent.exists()))


@contextmanager
def _whatever_is_hidden(report: Report, where: str) -> Iterator[None]:
    """A path that cannot even be looked at, below another account's directory or with too long a name, is unfit."""
    try:
        yield
    except OSError as error:
        report.problem(where, f"{error.filename}: {error.strerror}")


def _inspect_directory(report: Report, where: str, path: Path) -> None:
    if not path.is_dir():
        report.problem(where, f"{path} is not a directory")
    elif not os.access(path, os.W_OK | os.X_OK):
        report.problem(where, f"the directory {path} may not be written")
