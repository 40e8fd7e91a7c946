"""Where the control plane and the data path meet: probes' results in, ejections and suspicions out.

One pool_control a pool. Within one process it only passes calls on; what they mean is decided in `balance`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lbproxy import config as settings
from lbproxy.balance import operators
from lbproxy.balance.backend import Backend
from lbproxy.balance.feed import Observer
from lbproxy.balance.health import Change
from lbproxy.balance.operators import Said
from lbproxy.balance.pool import Pool
from lbproxy.control.discovery.discovery import Discovery
from lbproxy.control.log import event
from lbproxy.control.probes import Probe, ProbeResult
from lbproxy.control.probes.kerberos.sign_ins import SignIns
from lbproxy.control.probes.schedule import Prober
from lbproxy.errors import StartError
from lbproxy.reasons import Reason
from lbproxy.runtime.build_probes import Unprobeable, make_probes

if TYPE_CHECKING:
    from lbproxy.control.consistency.guard import Guard
    from lbproxy.runtime.channel_binding_check import Finding, Key
    from lbproxy.runtime.probe_certificate import Identity

log = logging.getLogger(__name__)

_LEVELS = {Change.EJECT: logging.WARNING, Change.READMIT: logging.INFO, Change.SUSPECT: logging.INFO}
_EVENTS = {
    Change.EJECT: "backend_ejected",
    Change.READMIT: "backend_readmitted",
    Change.SUSPECT: "backend_suspected",
}


class PoolControl(Observer):
    """Probes the backends of `pool`, and keeps them alike, as its configuration says; logs what changes."""

    def __init__(
        self,
        pool: Pool,
        options: settings.Pool,
        server_url: str,
        known: Collection[str] = (),
        sign_ins: SignIns | None = None,
        identity: Identity | None = None,
        discoveries: Sequence[Discovery] = (),
        counted: Callable[[Pool, Backend], Mapping[str, Any]] = lambda pool, backend: {"active": backend.active},
    ) -> None:
        """server_url: the name under which backends are asked. known: backends whose first probe is not waited for.

        sign_ins: the process's, for kerberos checks. identity: the subject that probes and the guard show.

        discoveries: those of the pool; `start_discovery` starts them. counted: what all processes have counted of a
        backend, as `BackendCounts`.

        Call it on the running loop; probes begin at once.
        """
        self.pool = pool
        self.check = options.check.kind
        self.check_urls = {one.name: one.check_url for one in options.backends}
        self.discoveries = tuple(discoveries)
        self._counted = counted
        pool.observers.append(self)
        self.probes = make_probes(pool, options, server_url.partition("://")[2], sign_ins, identity)
        self._suspected: set[str] = set()  # since their last probe
        self.protection: Mapping[str, Finding] = {}  # by backend's name; `protection` finds out
        self.prober = Prober(
            self.probes.by_name, options.check.interval, self._probed, known=known, more=bool(discoveries)
        )
        if self.probes.tickets is not None:
            self.probes.tickets.votes.ask = self.prober.probe_now
        self.guard = self._guard(options, server_url, identity)
        if self.guard is not None:
            for discovery in self.discoveries:
                discovery.on_fact = self.guard.look

    def __repr__(self) -> str:
        return f"<pool_control {self.pool!r} {self.prober!r}>"

    def _guard(self, options: settings.Pool, server_url: str, identity: Identity | None) -> Guard | None:
        """None, and nothing of it is loaded, if nothing is to be compared."""
        if options.consistency.policy == "off" or not options.consistency.facts:
            return None
        from lbproxy.runtime.build_consistency import make_guard

        first = self.prober.first_round
        return make_guard(self.pool, options, server_url, self.probes, first, identity, self._registered)

    def start_discovery(self) -> None:
        """Ask the sources of members from now on."""
        for discovery in self.discoveries:
            discovery.start()

    async def first_round(self) -> None:
        """Return when every source has answered, or failed, once, and each backend that is not known was probed."""
        await asyncio.gather(*(discovery.answered.wait() for discovery in self.discoveries))
        self.prober.complete()
        await self.prober.first_round.wait()

    async def stop(self) -> None:
        """End the discoveries, the probes and the guard."""
        await asyncio.gather(*(discovery.stop() for discovery in self.discoveries))
        if self.guard is not None:
            await self.guard.stop()
        await self.prober.stop()
        await self.probes.close()

    def joined(self, pool: Pool, backend: Backend) -> None:
        """See `Observer`. It is probed at once: it gets work when that is good."""
        self.prober.join(backend.name, self._probe(backend))
        event(log, logging.INFO, "backend_joined", pool=pool.name, backend=backend.name, url=backend.url,
              source=backend.source)  # fmt: skip

    def left(self, pool: Pool, backend: Backend) -> None:
        """See `Observer`."""
        self.prober.leave(backend.name)
        self.probes.leave(backend.name)
        self._suspected.discard(backend.name)
        event(log, logging.INFO, "backend_left", pool=pool.name, backend=backend.name, url=backend.url,
              source=backend.source, active=self._counted(pool, backend).get("active", 0))  # fmt: skip

    def _registered(self, backend: Backend) -> Mapping[str, str]:
        """What the source of `backend` says of it."""
        found = (one.facts.get(backend.name, {}) for one in self.discoveries if one.source.name == backend.source)
        return next(found, {})

    def _probe(self, backend: Backend) -> Probe:
        try:
            return self.probes.join(backend)
        except StartError as error:
            return Unprobeable(str(error))

    def drain(self, backend: Backend, by: str = "", at: float = 0.0) -> None:
        """Give `backend` no new work: who says so, and when, in seconds since the epoch."""
        self.pool.drain(backend, by, at)
        self._look(backend)

    def ready(self, backend: Backend, by: str = "", at: float = 0.0) -> None:
        """End its drain."""
        self.pool.ready(backend, by, at)
        self._look(backend)

    def hear(self, name: str, told: Said) -> tuple[str, ...]:
        """Operators have said that of `name` to another process. Returns why a backend is left out, if one is."""
        left_out = operators.hear(self.pool, name, told)
        if (backend := self.pool.by_name(name)) is not None:
            self._look(backend)
        return left_out

    def protected(self, findings: Mapping[Key, Finding]) -> None:
        """What was found out of extended protection, for all pools."""
        self.protection = {name: finding for (pool, name), finding in findings.items() if pool == self.pool.name}

    def _look(self, backend: Backend) -> None:
        """In a drain, and at its ends, it may become another than it was, and its say in what is right changes."""
        if self.guard is not None:
            self.guard.look(backend.name)

    def _probed(self, name: str, result: ProbeResult) -> None:
        backend = self.pool.by_name(name)
        assert backend is not None, f"{name} has left, and so has its probe"
        self._suspected.discard(name)
        self.pool.probed(backend, result.ok, result.detail, time.monotonic())
        if backend.draining:
            self._look(backend)

    def changed(self, pool: Pool, backend: Backend, change: Change | None, reason: Reason | None, detail: str) -> None:
        """See `Observer`. Verdicts are logged; a suspicion, which a probe settles at once, only once until then."""
        if change is None:
            return
        if change is Change.SUSPECT:
            self.prober.probe_now(backend.name)
            if backend.name in self._suspected:
                return
            self._suspected.add(backend.name)
        why = self._probe_reason(backend.name) if reason is None else reason.label
        event(log, _LEVELS[change], _EVENTS[change], pool=self.pool.name, backend=backend.name, reason=why,
              detail=detail or None)  # fmt: skip

    def _probe_reason(self, name: str) -> str:
        """Why the probe that was just reported is as it is, if its kind of check has a table of reasons."""
        last = self.prober.last(name)
        return last.reason if last and last.reason else "probe"


def tell_all(pool_controls: Iterable[PoolControl], findings: Mapping[Key, Finding]) -> None:
    """See `PoolControl.protected`."""
    for pool_control in pool_controls:
        pool_control.protected(findings)
