"""From a pool's configuration to the probes of its backends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp

from lbproxy import config as settings
from lbproxy.balance.backend import Backend, State
from lbproxy.balance.pool import Pool
from lbproxy.control.probes import Probe, ProbeResult
from lbproxy.control.probes.http import HttpProbe
from lbproxy.control.probes.kerberos.exchange import Page
from lbproxy.control.probes.kerberos.probe import KerberosProbe
from lbproxy.control.probes.kerberos.tickets import Tickets
from lbproxy.control.probes.tcp import TcpProbe
from lbproxy.control.snapshot import TicketView

KDC_PART = 0.5  # of check.timeout: how long a probe waits for the KDC


class OnlyWhileDown:
    """The probe of `check.kind = "none"`: nothing is sent to a backend in use; one that failed comes back by it."""

    def __init__(self, backend: Backend, probe: Probe) -> None:
        self._backend = backend
        self._probe = probe

    async def run(self) -> ProbeResult:
        """See `Probe`."""
        if self._backend.state is State.DOWN:
            return await self._probe.run()
        return ProbeResult(True, "not probed", 0.0)


@dataclass(frozen=True, slots=True)
class PoolProbes:
    """The probes of a pool by the backend's name, and what kerberos ones share."""

    by_name: Mapping[str, Probe]
    tickets: Tickets | None

    def binds(self, name: str) -> bool | None:
        """Whether the backend `name` keeps the user on the connection, if that is known."""
        probe = self.by_name[name]
        return probe.binds if isinstance(probe, KerberosProbe) else None

    def tickets_view(self) -> TicketView | None:
        """For the snapshot."""
        return None if self.tickets is None else self.tickets.view()


def make_probes(pool: Pool, options: settings.Pool, host: str, session: aiohttp.ClientSession) -> PoolProbes:
    """host: the Host header of http and kerberos probes. Raises MissingExtraError when a kerberos one lacks gssapi."""
    tickets = _tickets(pool.name, options.check)

    def make(entry: settings.Backend) -> Probe:
        backend = pool.by_name(entry.name)
        assert backend is not None
        if tickets is not None:
            return KerberosProbe(session, _page(backend, entry, options, host), tickets, options.check.timeout)
        if options.check.kind == "http":
            return _http_probe(backend, entry, options, host, session)
        connect = TcpProbe(backend.host, backend.port, options.check.timeout)
        return connect if options.check.kind == "tcp" else OnlyWhileDown(backend, connect)

    return PoolProbes({entry.name: make(entry) for entry in options.backends}, tickets)


def _http_probe(
    backend: Backend, entry: settings.Backend, options: settings.Pool, host: str, session: aiohttp.ClientSession
) -> HttpProbe:
    check = options.check
    return HttpProbe(
        session,
        options.probe_url(entry),
        host,
        check.timeout,
        check.method,
        check.expect,
        backend.lanes.options.tls,
        options.tls.server_name,
    )


def _page(backend: Backend, entry: settings.Backend, options: settings.Pool, host: str) -> Page:
    # 401 is what expect has by default, for http checks; to a good ticket it is never the right answer.
    success = options.check.expect - {401}
    return Page(options.probe_url(entry), host, success, backend.lanes.options.tls, options.tls.server_name)


def _tickets(pool: str, check: settings.Check) -> Tickets | None:
    if check.kind != "kerberos":
        return None
    from lbproxy.control.probes.kerberos.credentials import Login  # only here: it needs an optional dependency

    assert check.kerberos is not None, "config.checks has seen to it"
    login = Login(check.kerberos.principal, check.kerberos.keytab, check.kerberos.spn)
    return Tickets(pool, login, check.timeout * KDC_PART)
