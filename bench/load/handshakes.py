"""A load generator for new TLS connections, which wrk cannot make: it resumes sessions as it likes.

Run as a program, on the load core: threads connect, shake hands, ask once and close, until the time is over.
It is slower than any of the proxies, so it never fills the proxy's core; what counts is the CPU time a connection.
"""

from __future__ import annotations

import json
import socket
import ssl
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import click

from bench.heads import HOST, head
from bench.load.load import RESULT, Load, parse
from bench.load.scenario import TABLE, Kind
from bench.load.site import Site
from bench.load.verify import client_context
from bench.processes import output_of

THREADS = 8


def handshakes(site: Site, connections: int, seconds: int) -> Load:
    """Open connection after connection, at most `connections` (and THREADS) at once."""
    threads = min(connections, THREADS)
    arguments = [site.scenario.name, site.port, seconds, threads]
    user = ["--user", str(site.certificate.user)] if site.scenario.client_certificate else []
    return parse(output_of([sys.executable, "-m", "bench.load.handshakes", *map(str, arguments), *user]))


@dataclass
class Tally:
    """What one thread saw: the seconds that each connection took, failures, bytes."""

    took: list[float] = field(default_factory=list)
    errors: int = 0
    bytes: int = 0


class Caller:
    """One thread's connections. With `resume` each offers the session of the one before, otherwise none does."""

    def __init__(self, port: int, request: bytes, resume: bool, user: Path | None) -> None:
        self.tally = Tally()
        self._port = port
        self._request = request
        self._resume = resume
        self._session: ssl.SSLSession | None = None
        self._context = client_context(user)  # a session belongs to its context

    def run(self, until: float) -> None:
        """Call until the monotonic second `until`."""
        while (start := time.monotonic()) < until:
            try:
                self.tally.bytes += self._call()
                self.tally.took.append(time.monotonic() - start)
            except OSError:
                self.tally.errors += 1

    def _call(self) -> int:
        with socket.create_connection(("127.0.0.1", self._port), timeout=10) as plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._context.wrap_socket(plain, server_hostname=HOST, session=self._session) as sock:
                if sock.session_reused != (self._session is not None):
                    raise OSError("the handshake is not of the kind that is measured")
                sock.sendall(self._request)
                answer = sock.recv(16384)
                if not answer.startswith(b"HTTP/1.1 200 "):
                    raise OSError("not the expected answer")
                if self._resume:
                    self._session = sock.session  # TLS 1.3 sends it after the handshake
                return len(answer)


def merged(tallies: list[Tally], seconds: float) -> Load:
    """The figures of all threads together."""
    took = sorted(second for tally in tallies for second in tally.took)
    cuts = statistics.quantiles(took, n=1000, method="inclusive") if len(took) > 1 else [0.0] * 999
    p50, p99, p999 = (round(cuts[n] * 1e6, 1) for n in (499, 989, 998))
    errors = sum(tally.errors for tally in tallies)
    return Load(len(took), errors, seconds, sum(tally.bytes for tally in tallies), p50, p99, p999)


def _in_threads(runs: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=run) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@click.command()
@click.argument("scenario")
@click.argument("port", type=int)
@click.argument("seconds", type=float)
@click.argument("threads", type=int)
@click.option("--user", type=click.Path(path_type=Path), help="A certificate, with its key, to present.")
def main(scenario: str, port: int, seconds: float, threads: int, user: Path | None) -> None:
    """Print one line of figures for SCENARIO at 127.0.0.1:PORT."""
    row = TABLE[scenario]
    request = head(row.headers, row.method, row.path)
    callers = [Caller(port, request, row.kind is Kind.RESUMED, user) for _ in range(threads)]
    start = time.monotonic()
    _in_threads([partial(caller.run, start + seconds) for caller in callers])
    load = merged([caller.tally for caller in callers], time.monotonic() - start)
    click.echo(RESULT + json.dumps(asdict(load)))


if __name__ == "__main__":
    main()
