"""Where the control plane and the data path meet: probes' results in, ejections and suspicions out.

One link a pool. Within one process it only passes calls on; what they mean is decided in `balance`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

import aiohttp

from lbproxy import config as settings
from lbproxy.balance.backend import Backend, State
from lbproxy.balance.health import Change
from lbproxy.balance.pool import Pool
from lbproxy.control.log import event
from lbproxy.control.probes import Probe, ProbeResult
from lbproxy.control.probes.http import HttpProbe
from lbproxy.control.probes.schedule import Prober
from lbproxy.control.probes.tcp import TcpProbe
from lbproxy.reasons import Reason

log = logging.getLogger(__name__)

_LEVELS = {Change.EJECT: logging.WARNING, Change.READMIT: logging.INFO, Change.SUSPECT: logging.INFO}
_EVENTS = {
    Change.EJECT: "backend_ejected",
    Change.READMIT: "backend_readmitted",
    Change.SUSPECT: "backend_suspected",
}


class Link:
    """Probes the backends of `pool` as its configuration says, and logs what changes."""

    def __init__(self, pool: Pool, options: settings.Pool, host: str, session: aiohttp.ClientSession) -> None:
        """host: the Host header of http probes. Call it on the running loop; probes begin at once."""
        self.pool = pool
        self.check = options.check.kind
        pool.on_change.append(self._changed)
        probes = make_probes(pool, options, host, session)
        self.prober = Prober(probes, options.check.interval, self._probed)

    def __repr__(self) -> str:
        return f"<link {self.pool!r} {self.prober!r}>"

    def _probed(self, name: str, result: ProbeResult) -> None:
        backend = self.pool.by_name(name)
        assert backend is not None
        self.pool.probed(backend, result.ok, result.detail, time.monotonic())

    def _changed(self, backend: Backend, change: Change, reason: Reason | None, detail: str) -> None:
        """Log it; a suspicion is what a probe has to settle at once."""
        why = "probe" if reason is None else reason.label
        event(log, _LEVELS[change], _EVENTS[change], pool=self.pool.name, backend=backend.name, reason=why,
              detail=detail or None)  # fmt: skip
        if change is Change.SUSPECT:
            self.prober.probe_now(backend.name)


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


def make_probes(pool: Pool, options: settings.Pool, host: str, session: aiohttp.ClientSession) -> Mapping[str, Probe]:
    """{backend's name: its probe}."""
    return {entry.name: _probe(pool.by_name(entry.name), entry, options, host, session) for entry in options.backends}


def _probe(
    backend: Backend | None,
    entry: settings.Backend,
    options: settings.Pool,
    host: str,
    session: aiohttp.ClientSession,
) -> Probe:
    assert backend is not None
    check = options.check
    if check.kind == "http":
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
    connect = TcpProbe(backend.host, backend.port, check.timeout)
    return connect if check.kind == "tcp" else OnlyWhileDown(backend, connect)
