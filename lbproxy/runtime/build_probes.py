"""From a pool's configuration to the probes of its backends."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lbproxy import config as settings
from lbproxy.balance.backend import Backend, State
from lbproxy.balance.pool import Pool
from lbproxy.control.probes import Probe, ProbeResult
from lbproxy.control.probes.kerberos.memory import PoolMemory
from lbproxy.control.probes.kerberos.sign_ins import SignIns
from lbproxy.control.probes.sockets import Sockets, place
from lbproxy.control.probes.tcp import TcpProbe
from lbproxy.control.snapshot import TicketView
from lbproxy.runtime import backend_tls
from lbproxy.runtime.backend_tls import Towards

if TYPE_CHECKING:
    import aiohttp

    from lbproxy.control.probes.http import HttpProbe
    from lbproxy.control.probes.kerberos.probe import KerberosProbe
    from lbproxy.control.probes.kerberos.tickets import Tickets
    from lbproxy.control.probes.tls import TlsProbe
    from lbproxy.runtime.probe_certificate import Identity


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


class Unprobeable:
    """The probe of a backend for which none can be made: why, as the result of each."""

    def __init__(self, problem: str) -> None:
        self._problem = problem

    async def run(self) -> ProbeResult:
        """See `Probe`."""
        return ProbeResult(False, self._problem, 0.0)


class Sessions:
    """The sessions of aiohttp for pages, one a greeting. aiohttp is loaded for the first: most pools need none."""

    def __init__(self) -> None:
        self._by_greeting: dict[bytes, aiohttp.ClientSession] = {}

    def __repr__(self) -> str:
        return f"<{len(self._by_greeting)} sessions>"

    def at(self, greeting: bytes) -> aiohttp.ClientSession:
        """The session whose connections begin with `greeting`."""
        from lbproxy.control.probes.connector import open_session

        if greeting not in self._by_greeting:
            self._by_greeting[greeting] = open_session(greeting)
        return self._by_greeting[greeting]

    async def close(self) -> None:
        """Call it when the last request has ended."""
        for session in self._by_greeting.values():
            await session.close()


class PoolProbes:
    """The probes of a pool by the backend's name, and what they share."""

    def __init__(self, maker: _Maker) -> None:
        self._maker = maker
        self.by_name: dict[str, Probe] = {}
        self.sessions = maker.sessions
        self.sockets = maker.sockets
        self.tickets = maker.tickets  # of kerberos ones

    def __repr__(self) -> str:
        return f"<{len(self.by_name)} probes>"

    def join(self, backend: Backend) -> Probe:
        """The probe of one more backend. Raises StartError when a file of pool.tls cannot be used."""
        probe = self.by_name[backend.name] = self._maker.make(backend, entry_of(self._maker.options, backend))
        return probe

    def leave(self, name: str) -> None:
        """A backend is gone, and its probe has ended."""
        self.by_name.pop(name, None)
        if self.tickets is not None:
            self.tickets.votes.leave(name)

    def binds(self, name: str) -> bool | None:
        """Whether the backend `name` keeps the user on the connection, if that is known."""
        probe = self._kerberos(name)
        return None if probe is None else probe.binds

    def kvno(self, name: str) -> int | None:
        """The version of the service's key that the backend `name` has, if that is known."""
        probe = self._kerberos(name)
        return None if probe is None else probe.kvno

    def _kerberos(self, name: str) -> KerberosProbe | None:
        """The probe of the backend `name`, if it is of that kind; its modules are loaded where there are some."""
        if self.tickets is None:
            return None
        from lbproxy.control.probes.kerberos.probe import KerberosProbe

        probe = self.by_name.get(name)
        return probe if isinstance(probe, KerberosProbe) else None

    def memory(self) -> PoolMemory | None:
        """What kerberos probes know, for those of the next process."""
        if self.tickets is None:
            return None
        probes = {name: probe.memory() for name in self.by_name if (probe := self._kerberos(name))}
        return {"ticket": self.tickets.memory(), "taken": self.tickets.votes.taken, "probes": probes}

    def remember(self, memory: PoolMemory) -> None:
        """Go on where those of the process before this one were; before the first probe."""
        if self.tickets is None:
            return
        if memory["ticket"] is not None:
            self.tickets.remember(memory["ticket"])
        self.tickets.votes.taken = memory["taken"]
        for name, known in memory["probes"].items():
            if probe := self._kerberos(name):
                probe.remember(known)

    def tickets_view(self) -> TicketView | None:
        """For the snapshot."""
        return None if self.tickets is None else self.tickets.view()

    async def close(self) -> None:
        """Call it when the last probe has ended."""
        self.sockets.close()
        await self.sessions.close()


def make_probes(
    pool: Pool,
    options: settings.Pool,
    host: str,
    sign_ins: SignIns | None = None,
    identity: Identity | None = None,
) -> PoolProbes:
    """host: the Host header of http and kerberos probes. sign_ins: the process's. identity: the subject that they show.

    Call it on the running loop.

    Raises MissingExtraError when a kerberos probe lacks gssapi, StartError when a file of pool.tls cannot be used.
    """
    tickets = _tickets(pool.name, options.check, sign_ins or SignIns())
    tls = Towards(pool.name, options, set(), identity)
    for backend in pool.backends:
        tls.also(_needed(options, entry_of(options, backend)))  # before there is anything to close
    probes = PoolProbes(_Maker(options, host, tls, tickets, Sockets(), Sessions()))
    for backend in pool.backends:
        probes.join(backend)
    return probes


def entry_of(options: settings.Pool, backend: Backend) -> settings.Backend:
    """What the configuration says of `backend`; of one that another source has, its name and URL."""
    written = (one for one in options.backends if (one.name, one.url) == (backend.name, backend.url))
    return next(written, None) or settings.Backend.model_construct(name=backend.name, url=backend.url)


@dataclass(frozen=True, slots=True)
class _Maker:
    """What the probes of a pool have in common."""

    options: settings.Pool
    host: str
    tls: Towards
    tickets: Tickets | None
    sockets: Sockets
    sessions: Sessions

    def make(self, backend: Backend, entry: settings.Backend) -> Probe:
        self.tls.also(_needed(self.options, entry))
        match self.options.probe_kind(entry):
            case "none":
                return OnlyWhileDown(backend, self._tcp(backend))
            case "tcp":
                return self._tcp(backend)
            case "tls":
                return self._tls(backend, entry)
            case "http":
                return self._http(backend, entry)
            case "kerberos":
                return self._kerberos(backend, entry)

    def _tcp(self, backend: Backend) -> TcpProbe:
        there = place(backend.host, backend.port)
        return TcpProbe(self.sockets, there, self.options.check.timeout, backend_tls.greeting(self.options))

    def _tls(self, backend: Backend, entry: settings.Backend) -> TlsProbe:
        from lbproxy.control.probes.tls import TlsProbe

        verifies = _verifies(self.options, entry)
        assert verifies is not None
        return TlsProbe(
            backend.host,
            backend.port,
            self.options.check.timeout,
            self.tls.itself[verifies],
            self.options.tls.server_name or backend.host,
            backend_tls.greeting(self.options),
            self.tls.question,
        )

    def _http(self, backend: Backend, entry: settings.Backend) -> HttpProbe:
        from lbproxy.control.probes.http import HttpProbe

        check = self.options.check
        url = self.options.probe_url(entry)
        return HttpProbe(
            self.sockets,
            url,
            self.host,
            check.timeout,
            check.method,
            check.expect,
            self._context(backend, entry),
            self.options.tls.server_name,
            backend_tls.greeting_at(self.options, backend, url),
            self.options.bare_lf == "accept",
            self.tls.question_at(backend, url),
        )

    def _kerberos(self, backend: Backend, entry: settings.Backend) -> KerberosProbe:
        from lbproxy.control.probes.kerberos.exchange import Page
        from lbproxy.control.probes.kerberos.probe import KerberosProbe

        assert self.tickets is not None
        # 401 is what expect has by default, for http checks; to a good ticket it is never the right answer.
        success = self.options.check.expect - {401}
        tls, server_name = self._context(backend, entry), self.options.tls.server_name
        page = Page(self.options.probe_url(entry), self.host, success, tls, server_name)
        greeting = backend_tls.greeting_at(self.options, backend, page.url)
        session, timeout = self.sessions.at(greeting), self.options.check.timeout
        return KerberosProbe(session, page, self.tickets, timeout, greeting, entry.name)

    def _context(self, backend: Backend, entry: settings.Backend) -> ssl.SSLContext | None:
        """For the page of a backend."""
        verifies = _verifies(self.options, entry)
        return None if verifies is None else self.tls.at(backend, self.options.probe_url(entry))[verifies]


def _needed(options: settings.Pool, entry: settings.Backend) -> set[bool]:
    """The contexts that the probe of a backend needs."""
    verifies = _verifies(options, entry)
    return set() if verifies is None else {verifies}


def _verifies(options: settings.Pool, entry: settings.Backend) -> bool | None:
    """Whether the probe of a backend verifies its certificate; None: it speaks no TLS."""
    match options.probe_kind(entry):
        case "tls":
            # Behind TLS that is passed through, certificates are the connectors' own: no authority is trusted.
            return options.tls.verify and not (entry.scheme == "tcp" and options.tls.ca is None)
        case "http" | "kerberos":
            return options.tls.verify if urlsplit(options.probe_url(entry)).scheme == "https" else None
        case _:
            return None


def _tickets(pool: str, check: settings.Check, sign_ins: SignIns) -> Tickets | None:
    if check.kind != "kerberos":
        return None
    from lbproxy.control.probes.kerberos.credentials import Login  # only here: it needs an optional dependency
    from lbproxy.control.probes.kerberos.tickets import Tickets

    assert check.kerberos is not None, "config.checks has seen to it"
    sign_in = sign_ins.of(check.kerberos.principal, check.kerberos.keytab)
    return Tickets(pool, Login(sign_in, check.kerberos.spn))
