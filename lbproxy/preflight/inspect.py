"""Every file that a configuration names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from lbproxy.auth.certificate import tolerant_of_names
from lbproxy.auth.library import x509
from lbproxy.config import Address, AdminWeb, Config, Fleet, Listener, ListenerTls, PoolTls, Tracing
from lbproxy.config.keys import full_name
from lbproxy.errors import MissingExtraError
from lbproxy.net.tls import certificates
from lbproxy.preflight.addresses import inspect_address
from lbproxy.preflight.certificates import inspect_bundle, inspect_pair
from lbproxy.preflight.clients import inspect_clients, inspect_probe_identity
from lbproxy.preflight.discovery import inspect_discovery
from lbproxy.preflight.files import inspect_kerberos, inspect_kubeconfig, inspect_log, inspect_secret, inspect_socket
from lbproxy.preflight.instances import inspect_instances
from lbproxy.preflight.report import Report
from lbproxy.wire.headers import may_have_id


@tolerant_of_names()
def inspect(
    config: Config,
    now: datetime,
    become: Callable[[Report], None] = lambda _: None,
    made_at_start: tuple[Path, ...] = (),
) -> Report:
    """Open every file that `config` names; `now` is aware and decides what has expired. Nothing is created.

    become: changes the account of this process. It is called after the places of sockets were judged, with the rights
    that make them, and before any other file is, with the rights that read it. The report has the warnings of `config`.
    made_at_start: directories that the service manager makes; see `Report.will_make`.
    """
    report = Report(now, warnings=list(config.warnings), made_at_start=made_at_start)
    inspect_instances(report, config)
    if config.request_id and not may_have_id(config.request_id):
        report.problem("request_id", f"{config.request_id} has another meaning; a name of your own has none")
    _inspect_places(report, config)
    become(report)
    for name, listener in config.listeners.items():
        if listener.tls is not None:
            where = full_name(("listener", name, "tls"))
            leaves = _inspect_own(report, where, listener.tls)
            _inspect_coverage(report, f"{where}.certificate", config, listener, leaves)
            inspect_clients(report, where, listener.tls)
    for name in config.pools:
        _inspect_pool(report, config, name)
    _inspect_fleet(report, config.fleet)
    _inspect_tracing(report, config.tracing)
    _inspect_web(report, config.admin.web)
    if isinstance(config.access_log.path, Path):
        inspect_log(report, "access_log.path", config.access_log.path)
    return report


def _inspect_pool(report: Report, config: Config, name: str) -> None:
    pool = config.pools[name]
    inspect_discovery(report, config, name)
    _inspect_pool_tls(report, full_name(("pool", name, "tls")), pool.tls)
    for mint in config.mints(name).values():
        inspect_probe_identity(report, full_name(("pool", name, "check", "identity")), mint, pool.check.identity)
    if pool.check.kerberos is not None:
        used = pool.check.kind == "kerberos"
        where = full_name(("pool", name, "check", "kerberos"))
        inspect_kerberos(report if used else report.of_unused(), where, pool.check.kerberos)
    if pool.discover is not None:
        inspect_kubeconfig(report, full_name(("pool", name, "discover")), pool.discover)


def _inspect_places(report: Report, config: Config) -> None:
    """Where to listen."""
    for name, listener in config.listeners.items():
        where = full_name(("listener", name, "bind"))
        inspect_socket(report, where, listener.bind.path)
        inspect_address(report, where, listener.bind.ip, config.virtual_addresses, listener.freebind)
    for key in ("bind", "health", "metrics"):
        bind: Address | None = getattr(config.admin, key)
        inspect_socket(report, f"admin.{key}", bind.path if bind else None)
    if config.admin.web is not None:
        inspect_address(report, "admin.web.bind", config.admin.web.bind.ip, config.virtual_addresses, True)


def _inspect_own(report: Report, where: str, tls: ListenerTls) -> list[x509.Certificate]:
    """The certificates of a listener, the first one first; those that cannot be used are problems and left out."""
    leaves = [inspect_pair(report, where, tls.certificate, tls.key)]
    for position, pair in enumerate(tls.additional):
        place = f"{where}.additional[{position}]"
        leaf = inspect_pair(report, place, pair.certificate, pair.key)
        if leaf is not None and not certificates.dns_names(leaf):
            report.warning(
                f"{place}.certificate", f"the certificate of {certificates.subject(leaf)} has no DNS name to ask for"
            )
        leaves.append(leaf)
    return [leaf for leaf in leaves if leaf is not None]


def _inspect_coverage(
    report: Report, where: str, config: Config, listener: Listener, leaves: list[x509.Certificate]
) -> None:
    """Only a warning: a balancer in front of this one may end the TLS that users see."""
    host = config.server_host
    if not {"*", host} & set(listener.hosts) or not leaves:
        return
    if not any(certificates.covers(leaf, host) for leaf in leaves):
        whose = " or ".join(certificates.subject(leaf) for leaf in leaves)
        report.warning(where, f"the certificate of {whose} is not for {host} (server_url)")


def _inspect_fleet(report: Report, fleet: Fleet | None) -> None:
    if fleet is None:
        return
    if fleet.ca is not None:
        inspect_bundle(report, "fleet.ca", fleet.ca)
    if fleet.certificate is not None and fleet.key is not None:
        inspect_pair(report, "fleet", fleet.certificate, fleet.key)
    if fleet.secret_file is not None:
        inspect_secret(report, "fleet.secret_file", fleet.secret_file)


def _inspect_tracing(report: Report, tracing: Tracing | None) -> None:
    if tracing is None:
        return
    if tracing.endpoint and find_spec("opentelemetry.sdk") is None:  # not imported: that takes a moment
        report.problem("tracing.endpoint", str(MissingExtraError("endpoint", "tracing")))
    if tracing.ca is not None:
        inspect_bundle(report, "tracing.ca", tracing.ca)
    if tracing.certificate is not None and tracing.key is not None:
        inspect_pair(report, "tracing", tracing.certificate, tracing.key)


def _inspect_web(report: Report, web: AdminWeb | None) -> None:
    if web is not None:
        from lbproxy.preflight.web import inspect_web  # it loads the dashboard

        inspect_web(report, web)


def _inspect_pool_tls(report: Report, where: str, tls: PoolTls) -> None:
    if not tls.verify:
        report.warning(f"{where}.verify", "verify is off: backend certificates are not checked")
    if tls.ca is not None:
        inspect_bundle(report, f"{where}.ca", tls.ca)
    if tls.certificate is not None and tls.key is not None:
        inspect_pair(report, where, tls.certificate, tls.key)
