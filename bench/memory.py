"""How much memory does an idle balancer need, by process?

    python -m bench.memory                         # plain and with TLS, one worker
    python -m bench.memory --workers 1,2,3,4

One backend, whose check is `none`, or with TLS `http`. `pss` is a process with its part of what several
share, `own` of it what no file holds (Pss_Anon), `private` what it alone has: all in MB (10^6), two seconds after
`ready:`.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.load.certificate import Certificate
from bench.processes import PROXY_CORE, Child

_SETTLE = 2.0
_FIELD = re.compile(r"^(Pss|Pss_Anon|Private_Clean|Private_Dirty):\s+(\d+) kB$", re.MULTILINE)


class Memory(NamedTuple):
    """In bytes."""

    pss: int
    own: int
    private: int

    @classmethod
    def of(cls, pid: int) -> Memory:
        """Of a process that runs."""
        found = dict(_FIELD.findall(Path(f"/proc/{pid}/smaps_rollup").read_text()))
        pss, own, clean, dirty = (
            int(found[name]) * 1024 for name in ("Pss", "Pss_Anon", "Private_Clean", "Private_Dirty")
        )
        return cls(pss, own, clean + dirty)


def processes(directory: Path, workers: int, *, tls: bool) -> list[Memory]:
    """Of master, generation, and with more than one worker the forker and the workers."""
    scheme, listener, check = "http", "", '{ kind = "none" }'
    if tls:
        certificate = Certificate.write(directory)
        scheme, check = "https", '{ kind = "http", path = "/" }'
        listener = f'tls = {{ certificate = "{certificate.chain}", key = "{certificate.key}" }}'
    path = directory / "lbproxy.toml"
    path.write_text(f"""
server_url = "{scheme}://login.corp.example"
workers = {workers}
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
{listener}
[admin]
bind = "unix:{directory / "admin.sock"}"
[pool.connectors]
backends = [{{ name = "c1", url = "http://127.0.0.1:9" }}]
check = {check}
""")
    with Child("lbproxy", [sys.executable, "-m", "lbproxy", "run", "-c", path], PROXY_CORE, directory) as child:
        child.wait_until(lambda: b"ready: " in child.errors.read_bytes())
        time.sleep(_SETTLE)
        return [Memory.of(pid) for pid in child.pids()]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a line for each process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1", help="numbers of workers, with commas between them")
    options = parser.parse_args(arguments)
    print("| | process | pss | own | private |\n| --- | --- | --- | --- | --- |")
    for workers in map(int, options.workers.split(",")):
        for tls in (False, True):
            with tempfile.TemporaryDirectory(prefix="bench-") as name:
                found = processes(Path(name), workers, tls=tls)
            kind = f"{'TLS' if tls else 'plain'}, {workers} worker{'s' * (workers > 1)}"
            roles = ["master", "generation", "forker", *(f"worker {n}" for n in range(1, workers + 1))]
            for role, memory in zip(roles, found, strict=False):
                print(f"| {kind} | {role} | {' | '.join(f'{one / 1e6:.1f}' for one in memory)} |")
            print(f"| {kind} | in all | {sum(one.pss for one in found) / 1e6:.1f} | | |")


if __name__ == "__main__":
    main()
