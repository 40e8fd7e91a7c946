"""`python -m bench.load.idle`: the memory that a proxy needs for a client connection which is kept and says nothing.

It is the memory of the process (PSS). What the kernel holds for a socket is the same for every proxy and not in it.
"""

from __future__ import annotations

import socket
import ssl
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click
from rich import box
from rich.table import Table

from bench.console import console
from bench.heads import HOST, head
from bench.load import meter
from bench.load.backends import Backends
from bench.load.errors import BenchError
from bench.load.options import peers_option
from bench.load.peers import PEERS, Peer
from bench.load.processes import allow_descriptors
from bench.load.rounds import Running, serving, site_of
from bench.load.run import check_machine, programs
from bench.load.scenario import TABLE
from bench.load.site import Certificate
from bench.load.verify import client_context

_WARM_UP = 200  # connections that come and go first: caches and pools are not counted
_AN_ADDRESS = 10_000  # connections from one client address: each has 28,000 ports
_SETTLE = 1.0  # seconds for a proxy to give back what it can


@click.command()
@peers_option
@click.option("--connections", type=click.IntRange(1), default=10_000, show_default=True, help="That are idle at once.")
def main(peers: list[str], connections: int) -> None:
    """Bytes of memory for each idle client connection, plain and TLS, that has had one answer."""
    chosen = [PEERS[name] for name in ["lbproxy", *peers]]
    check_machine(programs(chosen))
    allow_descriptors(connections + 2000)
    shown = Table("proxy", "connections", "MB before", "MB with them", "bytes each", box=box.MARKDOWN)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, Backends(Path(name), 2000) as backends:
        for row in _rows(chosen, connections, backends, Path(name)):
            shown.add_row(*row)
    console().print(shown)


def _rows(peers: Sequence[Peer], connections: int, backends: Backends, directory: Path) -> list[tuple[str, ...]]:
    certificate = Certificate.write(directory)
    rows: list[tuple[str, ...]] = []
    for scenario in (TABLE["browser"], TABLE["tls"]):
        for peer in peers:
            site = site_of(peer, scenario, connections, backends.ports, certificate, directory)
            with serving(peer, site) as running:
                before, after = _measure(running, connections)
            each = f"{(after - before) / connections:,.0f}"
            kind = f"{connections:,} {'TLS' if scenario.tls else 'plain'}"
            rows.append((peer.name, kind, f"{before / 1e6:.1f}", f"{after / 1e6:.1f}", each))
    return rows


def _measure(running: Running, connections: int) -> tuple[int, int]:
    """The proxy's bytes without client connections and with them."""
    context = client_context() if running.site.scenario.tls else None
    with ExitStack() as passing:
        _open(passing, running, _WARM_UP, context)
    with ExitStack() as kept:
        before = _settled(running)
        _open(kept, running, connections, context)
        return before, _settled(running)


def _settled(running: Running) -> int:
    time.sleep(_SETTLE)
    return meter.pss_bytes(running.child.pids())


def _open(stack: ExitStack, running: Running, count: int, context: ssl.SSLContext | None) -> None:
    """Open `count` connections, each with one request answered, that close with `stack`."""
    request = head(running.site.scenario.headers, target="/64")
    for number in range(count):
        source = (f"127.0.0.{2 + number // _AN_ADDRESS}", 0)
        sock = socket.create_connection(("127.0.0.1", running.site.port), timeout=10, source_address=source)
        if context:
            sock = context.wrap_socket(sock, server_hostname=HOST)
        stack.enter_context(sock)
        sock.sendall(request)
        if not sock.recv(16384).startswith(b"HTTP/1.1 200 "):
            raise BenchError(f"{running.site.name} did not answer connection {number + 1} of {count}")


if __name__ == "__main__":
    main(prog_name="python -m bench.load.idle")
