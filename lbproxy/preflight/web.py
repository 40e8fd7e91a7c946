"""The files of [admin.web], and what is needed to use them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from lbproxy.auth.certificate import alternative_names
from lbproxy.config import AdminWeb
from lbproxy.dashboard.kerberos import Acceptor
from lbproxy.dashboard.passwords import Passwords
from lbproxy.errors import MissingExtraError
from lbproxy.preflight.certificates import inspect_bundle, inspect_pair
from lbproxy.preflight.report import Report

WHERE = "admin.web"


def inspect_web(report: Report, web: AdminWeb | None) -> None:
    """A dashboard that cannot be used prevents a start, as every other listener does."""
    if web is None:
        return
    if missing := [name for name in ("jinja2", "markupsafe", "aiohttp_sse") if find_spec(name) is None]:
        report.problem(WHERE, f"{MissingExtraError('the dashboard', 'dashboard')} ({', '.join(missing)})")
    leaf = inspect_pair(report, WHERE, web.certificate, web.key)
    if leaf is not None and not alternative_names(leaf):
        report.problem(f"{WHERE}.certificate", "it has no DNS name and no address, so that no browser accepts it")
    if web.client_ca is not None:
        used = report if "certificate" in web.sign_in else report.of_unused()
        inspect_bundle(used, f"{WHERE}.client_ca", web.client_ca)
    if web.keytab is not None and "kerberos" in web.sign_in:
        _inspect_keytab(report, web.keytab)
    if web.passwords is not None and "password" in web.sign_in:
        _inspect_passwords(report, web.passwords)


def _inspect_keytab(report: Report, path: Path) -> None:
    try:
        Acceptor(path)
    except (ValueError, MissingExtraError) as error:
        report.problem(f"{WHERE}.keytab", str(error))


def _inspect_passwords(report: Report, path: Path) -> None:
    try:
        Passwords(path)
        is_open = path.stat().st_mode & 0o007
    except (ValueError, OSError, MissingExtraError) as error:
        report.problem(f"{WHERE}.passwords", str(error))
        return
    if is_open:
        report.warning(
            f"{WHERE}.passwords", f"{path} is open to every account of this machine, which could guess at it"
        )
