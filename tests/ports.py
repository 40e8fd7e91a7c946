"""TCP ports of 127.0.0.1 for servers that must be told theirs: one that can listen at port 0 needs none of these."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""The ports that the kernel gives to outgoing connections and for port 0: any may be gone before a server binds it."""


def _candidates() -> Iterator[int]:
    """Each port once. No two processes of one run have the same, and runs side by side begin elsewhere."""
    first = int(_OUTGOING.read_text().split()[0])
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = list(range(10000, max(first, 20000)))[worker :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    random.SystemRandom().shuffle(ports)
    return iter(ports)


_PORTS = _candidates()
_BLOCKS = range(9000, 10000, 4)


def free_block() -> int:
    """The first of four ports in a row that no other process of this run is given; all below those of `free_port`."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return random.SystemRandom().choice(_BLOCKS[worker :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))])


def free_port() -> int:
    """A port that is free, and that nobody else is given before it is bound."""
    for port in _PORTS:
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
    raise AssertionError("every port of this machine was tried")
