"""`python -m bench.load.idle`: the memory that a proxy needs for a client connection which is kept and says nothing.

It is the memory of the process (PSS). What the kernel holds for a socket is the same for every proxy and not in it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click
from rich import box
from rich.table import Table

from bench.console import console
from bench.load import meter
from bench.load.backends import Backends
from bench.load.certificate import Certificate
from bench.load.options import peers_option
from bench.load.peers import PEERS, Peer
from bench.load.quiet import open_quiet
from bench.load.rounds import Running, serving, site_of
from bench.load.run import check_machine, programs
from bench.load.scenario import TABLE
from bench.processes import allow_descriptors

_WARM_UP = 200  # connections that come and go first: caches and pools are not counted
_SETTLE = 1.0  # seconds for a proxy to give back what it can


@click.command()
@peers_option
@click.option("--connections", type=click.IntRange(1), default=10_000, show_default=True, help="That are idle at once.")
def main(peers: list[str], connections: int) -> None:
    """Bytes of memory for each idle client connection, plain and TLS, that has had one answer."""
    chosen = [PEERS[name] for name in ["lbproxy", *peers]]
    check_machine(programs(chosen))
    allow_descriptors((connections + 500) * 32 // 15)  # lbproxy has one for each client's lane, and keeps a sixteenth
    shown = Table("proxy", "connections", "MB before", "MB with them", "bytes each", box=box.MARKDOWN)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, Backends(Path(name), 3, 2000) as backends:
        for row in _rows(chosen, connections, backends, Path(name)):
            shown.add_row(*row)
    console().print(shown)


def _rows(peers: Sequence[Peer], connections: int, backends: Backends, directory: Path) -> list[tuple[str, ...]]:
    certificate = Certificate.write(directory)
    rows: list[tuple[str, ...]] = []
    for scenario in (TABLE["browser"], TABLE["tls"]):
        for peer in peers:
            folder = directory / scenario.name
            site = site_of(peer.name, scenario, connections, backends.ports, certificate, folder)
            with serving(peer, site) as running:
                before, after = _measure(running, connections)
            each = f"{(after - before) / connections:,.0f}"
            kind = f"{connections:,} {'TLS' if scenario.tls else 'plain'}"
            rows.append((peer.name, kind, f"{before / 1e6:.1f}", f"{after / 1e6:.1f}", each))
    return rows


def _measure(running: Running, connections: int) -> tuple[int, int]:
    """The proxy's bytes without client connections and with them."""
    with ExitStack() as passing:
        open_quiet(passing, running.site.scenario, running.site.port, _WARM_UP)
    with ExitStack() as kept:
        before = _settled(running)
        open_quiet(kept, running.site.scenario, running.site.port, connections)
        return before, _settled(running)


def _settled(running: Running) -> int:
    time.sleep(_SETTLE)
    return meter.pss_bytes(running.child.pids())


if __name__ == "__main__":
    main(prog_name="python -m bench.load.idle")
