"""A load generator for new TLS connections, which wrk cannot make: it resumes sessions as it likes.

Run as a program, on the load core: threads connect, shake hands, ask (once, or as a login does) and close, until the
time is over.
It is slower than any of the proxies, so it never fills the proxy's core; what counts is the CPU time a connection.
"""

from __future__ import annotations

import itertools
import json
import re
import socket
import ssl
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import click

from bench.heads import HOST, MARK, head, negotiate_parts, own_token
from bench.load.load import RESULT, Load, parse
from bench.load.scenario import TABLE, Kind, Scenario
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


class Dialogue:
    """What each connection asks, and how it is to be answered: pairs of a request and a status.

    In a scenario with tokens no two connections have the same one.
    """

    def __init__(self, scenario: Scenario, numbers: Iterator[int]) -> None:
        """numbers: of the users, to whom the tokens are."""
        self._plain = head(scenario.headers, scenario.method, scenario.path)
        self._first = head(scenario.headers, scenario.method, "/login")
        self._parts = negotiate_parts() if scenario.tokens else None
        self._scenario = scenario
        self._numbers = numbers

    def next(self) -> list[tuple[bytes, int]]:
        """That of the next connection."""
        if self._parts is None:
            return [(self._plain, 200)]
        row = self._scenario
        headers = {**row.headers, "Authorization": own_token(self._parts, next(self._numbers))}
        if not row.challenged:
            return [(head(headers, row.method, row.path), 200)]
        return [(self._first, 401), (head(headers, row.method, "/login"), 200), (self._plain, 200), (self._plain, 200)]


class Caller:
    """One thread's connections. With `resume` each offers the session of the one before, otherwise none does."""

    def __init__(self, port: int, dialogue: Dialogue, resume: bool, user: Path | None) -> None:
        self.tally = Tally()
        self._port = port
        self._dialogue = dialogue
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
                got = sum(_asked(sock, request, status) for request, status in self._dialogue.next())
                if self._resume:
                    self._session = sock.session  # TLS 1.3 sends it after the handshake
                return got


def _asked(sock: ssl.SSLSocket, request: bytes, status: int) -> int:
    """Ask and take the whole answer, which has a Content-Length; the bytes of it. OSError unless it has that status."""
    sock.sendall(request)
    answer = sock.recv(16384)
    if not answer.startswith(b"HTTP/1.1 %d " % status):
        raise OSError(f"not the expected answer: {answer[:40]!r}")
    while (size := _size(answer)) is None or len(answer) < size:
        more = sock.recv(16384)
        if not more:
            raise OSError("the answer is cut")
        answer += more
    return len(answer)


def _size(answer: bytes) -> int | None:
    """Bytes of the whole answer; None: its head is not complete. OSError without a Content-Length."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = re.search(rb"\r\ncontent-length: *([0-9]+)\r\n", answer[: end + 2], re.IGNORECASE)
    if length is None:
        raise OSError("an answer without Content-Length")
    return end + 4 + int(length[1])


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
    start = time.monotonic()
    # A number for each connection of the program, other ones than of the program before; count() is atomic.
    dialogue = Dialogue(row, itertools.count(time.time_ns() // 1_000_000 % 16 ** (MARK - 1)))
    callers = [Caller(port, dialogue, row.kind is Kind.RESUMED, user) for _ in range(threads)]
    _in_threads([partial(caller.run, start + seconds) for caller in callers])
    load = merged([caller.tally for caller in callers], time.monotonic() - start)
    click.echo(RESULT + json.dumps(asdict(load)))


if __name__ == "__main__":
    main()
