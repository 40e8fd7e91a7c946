"""A whole run: every scenario, one after the other."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench.load.backends import Backends
from bench.load.errors import BenchError
from bench.load.outcome import Outcome, Result, machine
from bench.load.peers import Peer
from bench.load.processes import allow_descriptors
from bench.load.rounds import Plan, measure, site_of
from bench.load.scenario import Scenario
from bench.load.site import Certificate

OnStep = Callable[[str], None]


def run(peers: Sequence[Peer], scenarios: Sequence[Scenario], plan: Plan, step: OnStep) -> Outcome:
    """Measure `peers` in each of `scenarios`; one that cannot be measured does not keep the others from it.

    `step` is called at every load, which are `steps` in all, with what is loaded.
    """
    check_machine(["wrk", *programs(peers)])
    allow_descriptors(4 * plan.connections + 1000)  # of one proxy: a client each, and a private lane to each backend
    results: list[Result] = []
    failures: dict[str, str] = {}
    about = _about(peers, plan)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        certificate = Certificate.write(directory)
        with Backends(directory, 4 * plan.connections + 1000) as backends:
            for scenario in scenarios:
                sites = [site_of(p, scenario, plan.connections, backends.ports, certificate, directory) for p in peers]
                try:
                    results += measure(peers, sites, plan, step)
                except BenchError as error:
                    failures[scenario.name] = error.message
    return Outcome(about, tuple(results), failures)


def steps(peers: Sequence[Peer], scenarios: Sequence[Scenario], plan: Plan) -> int:
    return len(peers) * len(scenarios) * (plan.rounds + 1)


def programs(peers: Sequence[Peer]) -> list[str]:
    """The programs that have to be installed: those of the peers, and of the backends."""
    return ["nginx", *(peer.name for peer in peers if peer.name != "lbproxy")]


def check_machine(wanted: Sequence[str]) -> None:
    """BenchError when one of the programs `wanted`, or the second core, is absent."""
    if (os.cpu_count() or 1) < 2:
        raise BenchError("two cores are needed: one for the proxy, one for the load and the backends")
    os.environ["PATH"] += os.pathsep + "/usr/sbin"  # Debian has proxies there, out of an ordinary user's sight
    missing = sorted({program for program in ("taskset", *wanted) if shutil.which(program) is None})
    if missing:
        raise BenchError(f"missing: {', '.join(missing)}; `make bench` installs them")


def _about(peers: Sequence[Peer], plan: Plan) -> dict[str, object]:
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": {peer.name: peer.version() for peer in peers},
        "plan": asdict(plan),
    }
