"""All peers in one scenario: started, verified, then measured in rounds that alternate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.load import meter
from bench.load.beside import busy
from bench.load.certificate import Certificate
from bench.load.handshakes import handshakes
from bench.load.load import Load, wrk
from bench.load.outcome import Result, Round
from bench.load.peers import SAFE, Peer
from bench.load.quiet import Quiet
from bench.load.scenario import Kind, Scenario
from bench.load.site import Site
from bench.load.verify import check_log, verify
from bench.processes import PROXY_CORE, Child, free_port

_WARM_UP = 1  # seconds of load that are not counted

OnStep = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured; `connections` are those of the scenarios that have no number of their own."""

    rounds: int
    seconds: int
    connections: int

    def active(self, scenario: Scenario) -> int:
        """How many connections ask at once."""
        return scenario.connections or self.connections


@dataclass(frozen=True, slots=True)
class Running:
    """A proxy that serves its site."""

    site: Site
    child: Child


@contextmanager
def serving(peer: Peer, site: Site) -> Iterator[Running]:
    """Start `peer` on the proxy core and wait until it serves; stop it at the end."""
    site.directory.mkdir(parents=True)
    with Child(peer.name, peer.command(site), PROXY_CORE, site.directory) as child:
        child.wait_until(lambda: peer.ready(site, child))
        yield Running(site, child)


def site_of(
    name: str, scenario: Scenario, active: int, backends: Sequence[int], certificate: Certificate, directory: Path
) -> Site:
    """A site on a free port, with a folder of its own below `directory`, in front of as many backends as it needs."""
    ports = tuple(backends[: scenario.backends])
    keeps_apart = (scenario.tokens or scenario.minted) and name in ("lbproxy", *(peer.name for peer in SAFE.values()))
    return Site(name, directory / name, free_port(), ports, scenario, active, certificate, keeps_apart)


def measure(name: str, entries: Sequence[tuple[Peer, Site]], plan: Plan, step: OnStep) -> list[Result]:
    """Measure each peer at its site, in the scenario `name`. `step` is called before each load, with what is loaded."""
    with ExitStack() as stack:
        running = [stack.enter_context(serving(peer, site)) for peer, site in entries]
        tls = _verify_all(running)
        for one in running:
            step(f"{name}: {one.site.name} warms up")
            if one.site.scenario.idle:
                stack.enter_context(Quiet(one.site))
            warm_up(one)
        rounds: dict[str, list[Round]] = {one.site.name: [] for one in running}
        for number in range(plan.rounds):
            for one in _turned(running, number):
                step(f"{name}: {one.site.name}, round {number + 1}")
                rounds[one.site.name].append(measure_round(one, plan.seconds))
        _verify_all(running)
        return [_result(name, one, rounds[one.site.name], tls[one.site.name]) for one in running]


def _verify_all(running: Sequence[Running]) -> dict[str, str]:
    """Each one does its work, and with TLS all of them speak the same version; what they negotiate, by name."""
    tls = {one.site.name: verify(one.site) for one in running}
    if len({negotiated.partition(" ")[0] for negotiated in tls.values()}) > 1:
        raise BenchError(f"the proxies do not speak the same TLS: {tls}")
    return tls


def _turned(running: Sequence[Running], number: int) -> list[Running]:
    """Each round begins with another peer, so that none always follows the same one."""
    start = number % len(running)
    return [*running[start:], *running[:start]]


def measure_round(one: Running, seconds: int) -> Round:
    """Load it, and see what that took. Raises BenchError when nothing, or not the whole work, was done."""
    site, pids = one.site, one.child.pids()
    if site.scenario.access_log:
        site.log.open("w").close()  # or the disk would fill up; all of them append
    before = meter.cpu_ns(pids)
    load, beside = _load(site, seconds)
    spent = meter.cpu_ns(pids) - before
    if load.requests == 0:
        raise BenchError(f"{site.name}: {site.scenario.name}: not one request was answered")
    if not load.errors and load.bytes < load.requests * site.scenario.answer:
        raise BenchError(f"{site.name}: {site.scenario.name}: answers were too short")
    if site.scenario.access_log:
        check_log(site, load.requests)
    return Round(load, spent, beside)


def warm_up(one: Running) -> None:
    """Load it for a moment that does not count."""
    _load(one.site, _WARM_UP)


def _load(site: Site, seconds: int) -> tuple[Load, dict[str, Load]]:
    """The load, and what small requests beside it saw, if the scenario has any."""
    if site.scenario.beside:
        return busy(site, seconds)
    return (wrk if site.scenario.kind is Kind.KEPT else handshakes)(site, site.active, seconds), {}


def _result(scenario: str, one: Running, rounds: Sequence[Round], tls: str) -> Result:
    return Result(scenario, one.site.name, meter.pss_bytes(one.child.pids()), tuple(rounds), tls)
