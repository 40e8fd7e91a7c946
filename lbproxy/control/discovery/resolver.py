"""Backend names to addresses, off the data path."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from aiohappyeyeballs import AddrInfoType

from lbproxy.control import tasks
from lbproxy.control.log import event
from lbproxy.control.probes.connect import connect_any

log = logging.getLogger(__name__)

INTERVAL = 30.0
"""Seconds between two look-ups of a name."""

PATIENCE = 1.0
"""Seconds for one of a name's addresses to accept a connection."""

Found = Callable[[str, socket.AddressFamily, tuple[object, ...]], None]


class Resolver:
    """Resolves each target (backend's name -> host and port) and calls `found` with its address when that changes.

    Literal addresses are looked up once, names every `interval` seconds. A name that cannot be resolved keeps the
    address that it had, and is logged once until it can be resolved again. Of several addresses it is the one that
    accepts first, as for probes: localhost may be ::1 too, where a connector may not listen.
    """

    def __init__(self, targets: Mapping[str, tuple[str, int]], found: Found, interval: float = INTERVAL) -> None:
        self._targets = dict(targets)
        self._found = found
        self._interval = interval
        self._known: dict[str, tuple[object, ...]] = {}
        self._failing: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Resolver of {len(self._targets)}, {len(self._failing)} failing>"

    async def start(self) -> None:
        """Resolve everything once; names go on being resolved in the background."""
        await self._resolve(self._targets)
        names = {name: target for name, target in self._targets.items() if not _is_literal(target[0])}
        if names:
            self._task = tasks.start(self._keep_resolving(names), name="resolver")

    async def stop(self) -> None:
        """End the background look-ups."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_resolving(self, names: Mapping[str, tuple[str, int]]) -> None:
        while True:
            await asyncio.sleep(self._interval)
            await self._resolve(names)

    async def _resolve(self, targets: Mapping[str, tuple[str, int]]) -> None:
        await asyncio.gather(*(self._look_up(name, host, port) for name, (host, port) in targets.items()))

    async def _look_up(self, name: str, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            if name not in self._failing:
                self._failing.add(name)
                event(log, logging.ERROR, "backend_unresolved", backend=name, host=host, error=error.strerror)
            return
        self._failing.discard(name)
        family, address = await _choose(addresses)
        if self._known.get(name) != address:
            self._known[name] = address
            self._found(name, family, address)


async def _choose(addresses: Sequence[AddrInfoType]) -> tuple[socket.AddressFamily, tuple[object, ...]]:
    """The address that accepts first, or the very first where there is no choice, or none accepts."""
    family, _, _, _, address = addresses[0]
    if len(addresses) > 1:
        with suppress(OSError):  # TimeoutError is one
            async with asyncio.timeout(PATIENCE):
                sock = await connect_any(addresses, b"")
            with sock:
                return sock.family, sock.getpeername()
    return socket.AddressFamily(family), address


def _is_literal(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host.partition("%")[0])
        except OSError:
            continue
        return True
    return False
