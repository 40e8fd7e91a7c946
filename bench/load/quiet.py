"""Client connections that are open and say nothing; as a program, until it is ended."""

from __future__ import annotations

import signal
import socket
import ssl
import sys
from contextlib import ExitStack

import click

from bench.errors import BenchError
from bench.heads import HOST, head
from bench.load.scenario import TABLE, Scenario
from bench.load.site import Site
from bench.load.verify import client_context
from bench.processes import LOAD_CORE, Child

_AN_ADDRESS = 10_000  # connections from one client address: each has 28,000 ports
_IP_BIND_ADDRESS_NO_PORT = 24  # ip(7); the socket module has it from Python 3.12


class Quiet(Child):
    """The idle connections of the scenario of `site`, in a process of their own: each may have so many open files."""

    def __init__(self, site: Site) -> None:
        command = [sys.executable, "-m", "bench.load.quiet", site.scenario.name, site.port, site.scenario.idle]
        super().__init__(f"{site.name}-idle", [*map(str, command)], LOAD_CORE, site.directory)
        self.wait_until(lambda: bool(self.output.read_bytes()))


def open_quiet(stack: ExitStack, scenario: Scenario, port: int, count: int) -> None:
    """Open `count` connections to 127.0.0.1:`port`, each with one request answered, that close with `stack`."""
    context = client_context() if scenario.tls else None
    request = head(scenario.headers, target="/64")
    for number in range(count):
        sock = stack.enter_context(_connected(number, port, context))
        sock.sendall(request)
        if not sock.recv(16384).startswith(b"HTTP/1.1 200 "):
            raise BenchError(f"no answer on connection {number + 1} of {count}")


def _connected(number: int, port: int, context: ssl.SSLContext | None) -> socket.socket:
    sock = socket.socket()
    sock.settimeout(10)
    # The port is chosen when it connects: what is taken towards another proxy is free towards this one.
    sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
    sock.bind((f"127.0.0.{2 + number // _AN_ADDRESS}", 0))
    sock.connect(("127.0.0.1", port))
    return context.wrap_socket(sock, server_hostname=HOST) if context else sock


@click.command()
@click.argument("scenario", type=click.Choice(list(TABLE)))
@click.argument("port", type=int)
@click.argument("count", type=int)
def main(scenario: str, port: int, count: int) -> None:
    """Open COUNT connections to 127.0.0.1:PORT as SCENARIO has them, say so, and keep them until TERM."""
    with ExitStack() as stack:
        open_quiet(stack, TABLE[scenario], port, count)
        click.echo("open")
        signal.pause()


if __name__ == "__main__":
    main()
