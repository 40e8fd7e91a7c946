"""A whole run: every scenario, one after the other."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench.errors import BenchError
from bench.load.backends import Backends
from bench.load.certificate import Certificate
from bench.load.outcome import Outcome, Result, machine
from bench.load.peers import Peer
from bench.load.rounds import Plan, measure, site_of
from bench.load.scenario import Scenario
from bench.processes import allow_descriptors

_PROGRAMS = os.pathsep.join(("/usr/sbin", str(Path(sys.executable).parent)))
"""Where proxies are out of an ordinary user's sight: Debian's, and those that are installed beside lbproxy."""

OnStep = Callable[[str], None]


def run(peers: Sequence[Peer], scenarios: Sequence[Scenario], plan: Plan, step: OnStep) -> Outcome:
    """Measure `peers` in each of `scenarios`; one that cannot be measured does not keep the others from it.

    `step` is called at every load, which are `steps` in all, with what is loaded.
    """
    check_machine(["wrk", *programs(peers)])
    active = max(map(plan.active, scenarios))
    servers = max(scenario.backends for scenario in scenarios)
    idle = max(scenario.idle for scenario in scenarios)
    allow_descriptors(4 * active + idle + servers + 1000)  # of one proxy: a client each, and three private lanes
    results: list[Result] = []
    failures: dict[str, str] = {}
    about = _about(peers, scenarios, plan)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        certificate = Certificate.write(directory)
        with Backends(directory, servers, 3 * len(peers) * active + 1000) as backends:
            for scenario in scenarios:
                able = [peer for peer in peers if not peer.lacks(scenario)]
                sites = [
                    site_of(p, scenario, plan.active(scenario), backends.ports, certificate, directory) for p in able
                ]
                try:
                    results += measure(able, sites, plan, step)
                except BenchError as error:
                    failures[scenario.name] = error.message
    return Outcome(about, tuple(results), failures)


def steps(peers: Sequence[Peer], scenarios: Sequence[Scenario], plan: Plan) -> int:
    able = sum(not peer.lacks(scenario) for peer in peers for scenario in scenarios)
    return able * (plan.rounds + 1)


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


def _about(peers: Sequence[Peer], scenarios: Sequence[Scenario], plan: Plan) -> dict[str, object]:
    lacking = {
        f"{peer.name} in {scenario.name}": why
        for scenario in scenarios
        for peer in peers
        if (why := peer.lacks(scenario))
    }
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {peer.name: peer.version() for peer in peers},
        "plan": asdict(plan),
        **({"left_out": lacking} if lacking else {}),
    }
