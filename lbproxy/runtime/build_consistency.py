"""From a pool's configuration to the guard that keeps its backends alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from yarl import URL

from lbproxy import config as settings
from lbproxy.balance.backend import Backend
from lbproxy.balance.pool import Pool
from lbproxy.control.consistency.guard import Guard, Rules
from lbproxy.control.consistency.page import PageRequest
from lbproxy.control.consistency.places import Place, at_pointer, by_regex, in_header
from lbproxy.control.consistency.reading import Reading, Unreadable, shortened
from lbproxy.control.consistency.sources import CertificateSource, KeySource, PageSource, Source
from lbproxy.control.probes.kerberos.failures import KerberosFailure
from lbproxy.control.probes.kerberos.tickets import Tickets
from lbproxy.errors import StartError
from lbproxy.runtime import backend_tls
from lbproxy.runtime.backend_tls import Towards
from lbproxy.runtime.build_probes import PoolProbes, entry_of
from lbproxy.runtime.probe_certificate import Identity


def make_guard(
    pool: Pool,
    options: settings.Pool,
    server_url: str,
    probes: PoolProbes,
    first_round: asyncio.Event,
    identity: Identity | None = None,
    registered: Callable[[Backend], Mapping[str, str]] = lambda backend: {},
) -> Guard | None:
    """The guard of `pool`, which uses what its `probes` have; None if nothing is to be compared.

    server_url: what metadata must publish, and whose host and scheme requests have. first_round: see `Guard`.
    identity: the subject that requests show. registered: the facts that a backend was registered with. Call it
    on the running loop. Raises StartError when a file of pool.tls cannot be used.
    """
    consistency = options.consistency
    if consistency.policy == "off" or not consistency.facts:
        return None
    tls = Towards(pool.name, options, set(), identity)
    for backend in pool.backends:
        tls.also(_needed(options, backend))
    maker = _Maker(options, server_url, probes, tls)
    expected = {name: _expected(fact, server_url) for name, fact in consistency.facts.items()}
    known = {name: value for name, value in expected.items() if value is not None}
    rules = Rules(tuple(expected), known, consistency.policy, consistency.interval)
    names = [name for name, fact in consistency.facts.items() if fact.registered]
    return Guard(pool, maker.sources, rules, first_round, partial(_registered, names, registered))


def _registered(
    names: Iterable[str], registered: Callable[[Backend], Mapping[str, str]], backend: Backend
) -> dict[str, Reading]:
    found = registered(backend)
    return {
        name: Reading(shortened(found[name])) if name in found else Reading(None, "it has registered no such fact")
        for name in names
    }


@dataclass(frozen=True, slots=True)
class _Maker:
    """What the sources of a pool have in common."""

    options: settings.Pool
    server_url: str
    probes: PoolProbes
    tls: Towards

    def sources(self, backend: Backend) -> list[Source]:
        """Where the facts of a backend are read."""
        with suppress(StartError):  # of one that has just joined: it cannot be read then, which its readings say
            self.tls.also(_needed(self.options, backend))
        return [*self.pages(backend, entry_of(self.options, backend)), *self.others(backend)]

    def pages(self, backend: Backend, entry: settings.Backend) -> Iterator[Source]:
        """Each page that has a fact, with all its facts."""
        places: dict[str, dict[str, Place]] = {}
        for name, fact in self.options.consistency.facts.items():
            url = fact.page(entry)
            if url is not None:
                places.setdefault(url, {})[name] = _place(fact)
        for url, found in places.items():
            session = self.probes.sessions.at(backend_tls.greeting_at(self.options, backend, url))
            request = PageRequest(
                session,
                url,
                self.server_url,
                self.options.check.timeout,
                self.tls.at(backend, url).get(self.options.tls.verify),
                self.options.tls.server_name,
                self._authorize(backend, entry, url),
                self.tls.question_at(backend, url),
            )
            yield PageSource(request, found)

    def _authorize(self, backend: Backend, entry: settings.Backend, url: str) -> Callable[[], Awaitable[str]] | None:
        """With a kerberos check, the probe's ticket: for the connector only, and not for another server beside it."""
        tickets = self.probes.tickets
        signs_in = self.options.probe_kind(entry) == "kerberos"
        theirs = {URL(self.options.probe_url(entry)).origin()} if signs_in else set()
        if backend.scheme != "tcp":
            theirs.add(URL(backend.url).origin())
        return partial(_authorization, tickets) if tickets is not None and URL(url).origin() in theirs else None

    def others(self, backend: Backend) -> Iterator[Source]:
        """The facts that are on no page."""
        for name, fact in self.options.consistency.facts.items():
            if fact.certificate:
                yield self._certificate(name, backend)
            elif fact.kvno:
                yield KeySource(name, partial(self.probes.kvno, backend.name))

    def _certificate(self, name: str, backend: Backend) -> CertificateSource:
        return CertificateSource(
            name,
            backend.host,
            backend.port,
            self.options.check.timeout,
            self.tls.itself[False],
            self.options.tls.server_name or backend.host,
            backend_tls.greeting(self.options),
            self.tls.question,
        )


async def _authorization(tickets: Tickets) -> str:
    try:
        return await tickets.authorization()
    except KerberosFailure as failure:
        raise Unreadable(str(failure)) from None


def _place(fact: settings.Fact) -> Place:
    if fact.pointer is not None:
        return at_pointer(fact.pointer)
    if fact.regex is not None:
        return by_regex(fact.regex)
    if fact.header is not None:
        return in_header(fact.header)
    from lbproxy.control.consistency.metadata import published_address  # only here: an XML parser takes memory

    return published_address


def _expected(fact: settings.Fact, server_url: str) -> str | None:
    """As values are shown: a fingerprint without the colons and capitals that OpenSSL prints it with."""
    expected = fact.expected(server_url)
    if expected is not None and fact.certificate:
        return expected.replace(":", "").lower()
    return None if expected is None else shortened(expected)


def _needed(options: settings.Pool, backend: Backend) -> set[bool]:
    """The kinds of TLS that are needed: pages are verified as `tls.verify` says, certificates are only looked at."""
    facts = options.consistency.facts.values()
    pages = (fact.page(entry_of(options, backend)) for fact in facts)
    needed = {options.tls.verify for url in pages if url is not None and url.startswith("https:")}
    return needed | {False for fact in facts if fact.certificate}
