"""A whole run: every scenario, one after the other."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from bench.errors import BenchError
from bench.load.backends import Backends
from bench.load.certificate import Certificate
from bench.load.outcome import Result, Run, machine
from bench.load.peers import AS_BASE, PEERS, SAFE, Peer
from bench.load.rounds import OnStep, Plan, measure, site_of
from bench.load.scenario import BASE, TABLE, Scenario
from bench.load.worst import OWN
from bench.processes import allow_descriptors

_PROGRAMS = os.pathsep.join(("/usr/sbin", str(Path(sys.executable).parent)))
"""Where proxies are out of an ordinary user's sight: Debian's, and those that are installed beside lbproxy."""


def run(peers: Sequence[Peer], scenarios: Sequence[Scenario], plan: Plan, step: OnStep) -> Run:
    """Measure `peers` in each of `scenarios`; one that cannot be measured does not keep the others from it.

    `step` is called at every load, which are `steps` in all, with what is loaded.
    """
    active = max(map(plan.active, scenarios))
    servers = max(scenario.backends for scenario in scenarios)
    results: list[Result] = []
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        certificate = Certificate.write(directory)
        with Backends(directory, servers, 3 * (2 * len(peers) + 1) * active + 1000, certificate) as backends:
            for scenario in scenarios:
                entries = [
                    (
                        peer,
                        site_of(
                            label,
                            row,
                            plan.active(row),
                            ports_of(backends, row, label),
                            certificate,
                            directory / scenario.name,
                        ),
                    )
                    for label, peer, row in _entries(peers, scenario)
                ]
                try:
                    results += measure(scenario.name, entries, plan, step)
                except BenchError as error:
                    failures[scenario.name] = error.message
    return Run(tuple(results), failures)


def ports_of(backends: Backends, scenario: Scenario, name: str) -> tuple[int, ...]:
    """What the peer of that name stands before."""
    return backends.tls_ports if scenario.minted and name == OWN else backends.ports


def fitted(scenarios: Sequence[Scenario], plan: Plan) -> list[Scenario]:
    """With as many idle connections as fit into this machine's limit of open files, which is raised; BenchError."""
    active = max(map(plan.active, scenarios))
    servers = max(scenario.backends for scenario in scenarios)
    idle = max(scenario.idle for scenario in scenarios)
    # Of one proxy: a client each and three private lanes, and for the idle ones what lbproxy keeps for their lanes.
    least = 4 * active + servers + 1000
    descriptors = allow_descriptors(least + 3 * idle, least)
    return [_fitted(row, plan, descriptors) for row in scenarios]


def _fitted(scenario: Scenario, plan: Plan, descriptors: int) -> Scenario:
    """lbproxy needs two descriptors for each client, and keeps a sixteenth of all for probes and files."""
    room = descriptors * 15 // 32 - plan.active(scenario) - 100
    return replace(scenario, idle=min(scenario.idle, room // 100 * 100)) if scenario.idle else scenario


def steps(peers: Sequence[Peer], scenarios: Sequence[Scenario], plan: Plan) -> int:
    """How many loads a run has."""
    return sum(len(_entries(peers, scenario)) for scenario in scenarios) * (plan.rounds + 1)


def _entries(peers: Sequence[Peer], scenario: Scenario) -> list[tuple[str, Peer, Scenario]]:
    """Who is measured, under which name, and in what."""
    able = [(peer.name, peer, scenario) for peer in peers if not peer.lacks(scenario)]
    if scenario.tokens:
        able += [(safe.name, safe, scenario) for peer in peers if (safe := SAFE.get(peer.name)) is not None]
    return [*able, (AS_BASE, PEERS["lbproxy"], TABLE[BASE])] if scenario.beside_base else able


def programs(peers: Sequence[Peer]) -> list[str]:
    """The programs that have to be installed: those of the peers, and of the backends."""
    return ["nginx", *(peer.name for peer in peers if peer.name != "lbproxy")]


def check_machine(wanted: Sequence[str]) -> None:
    """BenchError when one of the programs `wanted`, or the second core, is absent."""
    if (os.cpu_count() or 1) < 2:
        raise BenchError("two cores are needed: one for the proxy, one for the load and the backends")
    os.environ["PATH"] += os.pathsep + _PROGRAMS
    missing = sorted({program for program in ("taskset", *wanted) if shutil.which(program) is None})
    if missing:
        raise BenchError(f"missing: {', '.join(missing)}; `make bench` and `make compare-failure` install them")


def about(peers: Sequence[Peer], scenarios: Sequence[Scenario], plan: Plan) -> dict[str, object]:
    """What the figures depend on."""
    lacking = {
        f"{peer.name} in {scenario.name}": why
        for scenario in scenarios
        for peer in peers
        if (why := peer.lacks(scenario))
    }
    fewer = {row.name: row.idle for row in scenarios if row.idle < TABLE[row.name].idle}
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {peer.name: peer.version() for peer in peers},
        "plan": asdict(plan),
        **({"left_out": lacking} if lacking else {}),
        **({"idle connections (more need more open files than this machine allows)": fewer} if fewer else {}),
    }
