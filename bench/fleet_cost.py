"""What does a request cost on a balancer of a fleet, beside one that is alone?

    python -m bench.fleet_cost                     # a fleet of three, 9 pairs of rounds of 3 s
    python -m bench.fleet_cost --rounds 15

One lbproxy without [fleet], and three with it, of which one is asked; all with the same backends. Rounds are in pairs,
and every other pair begins with the fleet. What is printed is the CPU time of all processes of the asked balancer for
a request, its ratio, and the interval in which that truly lies with 90 % probability.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from bench.errors import BenchError
from bench.load.backends import Backends
from bench.load.meter import cpu_ns
from bench.load.ratio import Ratio
from bench.processes import LOAD_CORE, PROXY_CORE, Child, allow_descriptors, free_port, pinned
from tests.etcd_server import node

_CONNECTIONS = 32
_REQUESTS = re.compile(r"(\d+) requests in ")


class Balancer:
    """One that runs, at `port`; fleet: its [fleet], or nothing."""

    def __init__(self, directory: Path, name: str, backend: int, fleet: str) -> None:
        self.port = free_port()
        path = directory / f"{name}.toml"
        path.write_text(f"""
server_url = "http://127.0.0.1:{self.port}"
drain_timeout = "1s"
[listener.login]
bind = "127.0.0.1:{self.port}"
pool = "connectors"
[access_log]
path = ""
[admin]
bind = "unix:{directory / name}.sock"
[pool.connectors]
backends = [{{ name = "c1", url = "http://127.0.0.1:{backend}" }}]
check = {{ kind = "tcp", interval = "10s" }}
{fleet}
""")
        self.child = Child(name, [sys.executable, "-m", "lbproxy", "run", "-c", path], PROXY_CORE, directory)
        self.child.wait_until(lambda: b"ready: " in self.child.errors.read_bytes())

    def cost(self, seconds: int) -> float:
        """Microseconds of CPU time for a request, in a round of so many seconds."""
        before = cpu_ns(self.child.pids())
        url = f"http://127.0.0.1:{self.port}/64"
        command = pinned(LOAD_CORE, ["wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", url])
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = _REQUESTS.search(out)
        if found is None or "Socket errors" in out or "Non-2xx" in out:
            raise BenchError(f"wrk says:\n{out}")
        return (cpu_ns(self.child.pids()) - before) / 1000 / int(found[1])


def main() -> None:
    """Measure, and print microseconds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    allow_descriptors(4096)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        etcd = stack.enter_context(node(directory)).url
        [backend] = stack.enter_context(Backends(directory, 1, 256)).ports
        alone, member, *_ = [
            _started(stack, directory, name, backend, fleet)
            for name, fleet in [("alone", ""), *((f"lb{n}", _fleet(f"lb{n}", etcd)) for n in (1, 2, 3))]
        ]
        pairs = [_pair(alone, member, number, options.seconds) for number in range(options.rounds)]
    found = Ratio.of([mine / other for other, mine in pairs])
    alone_us, fleet_us = (median(column) for column in zip(*pairs, strict=True))
    print(f"alone {alone_us:.1f} us, in a fleet {fleet_us:.1f} us a request")
    print(f"ratio {found} ({found.between})")


def _started(stack: ExitStack, directory: Path, name: str, backend: int, fleet: str) -> Balancer:
    balancer = Balancer(directory, name, backend, fleet)
    stack.callback(balancer.child.stop)
    return balancer


def _fleet(name: str, etcd: str) -> str:
    return f'[fleet]\nname = "bench"\nreplica = "{name}"\netcd = ["{etcd}"]'


def _pair(alone: Balancer, member: Balancer, number: int, seconds: int) -> tuple[float, float]:
    """The cost alone, and in the fleet."""
    if number % 2:
        second = member.cost(seconds)
        return alone.cost(seconds), second
    return alone.cost(seconds), member.cost(seconds)


if __name__ == "__main__":
    main()
