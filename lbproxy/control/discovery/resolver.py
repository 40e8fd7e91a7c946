"""Backend names to addresses, off the data path."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress

from aiohappyeyeballs import AddrInfoType

from lbproxy.control import tasks
from lbproxy.control.log import event
from lbproxy.control.probes.connect import connect_any

log = logging.getLogger(__name__)

INTERVAL = 30.0
"""Seconds between two look-ups of a name."""

SOON = 1.0
"""The same for a name none of whose addresses has accepted a connection, and what they have for it."""

Found = Callable[[str, socket.AddressFamily, tuple[object, ...]], None]
_Place = tuple[socket.AddressFamily, tuple[object, ...]]


class Resolver:
    """Resolves each target (its name -> host and port) and calls `found` with its address when that changes.

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
        self._undecided: set[str] = set()  # have several addresses, and none accepts
        self._looking: set[asyncio.Task[None]] = set()  # the background, and first look-ups of targets that came later

    def __repr__(self) -> str:
        return f"<Resolver of {len(self._targets)}, {len(self._failing)} failing>"

    async def start(self) -> None:
        """Resolve everything once; names go on being resolved in the background."""
        await self._resolve(self._targets)
        self._begin(self._keep_resolving())

    async def stop(self) -> None:
        """End the background look-ups."""
        await tasks.stop(*self._looking)

    def add(self, name: str, host: str, port: int) -> None:
        """One more target, which is looked up at once."""
        self._targets[name] = (host, port)
        self._begin(self._look_up(name, host, port))

    def remove(self, name: str) -> None:
        """Nothing is found any more for a target."""
        del self._targets[name]
        self._known.pop(name, None)
        self._failing.discard(name)
        self._undecided.discard(name)

    def _begin(self, work: Coroutine[object, object, None]) -> None:
        task = tasks.start(work, name="resolver")
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    @property
    def _names(self) -> dict[str, tuple[str, int]]:
        return {name: target for name, target in self._targets.items() if not _is_literal(target[0])}

    async def _keep_resolving(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            until = clock() + self._interval
            while clock() + SOON < until:
                await asyncio.sleep(SOON)
                await self._resolve({name: self._targets[name] for name in self._undecided})
            await asyncio.sleep(until - clock())
            await self._resolve(self._names)

    async def _resolve(self, targets: Mapping[str, tuple[str, int]]) -> None:
        await asyncio.gather(*(self._look_up(name, host, port) for name, (host, port) in targets.items()))

    async def _look_up(self, name: str, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            if self._is_asked_for(name, host, port) and name not in self._failing:
                self._failing.add(name)
                event(log, logging.ERROR, "backend_unresolved", backend=name, host=host, error=error.strerror)
            return
        self._failing.discard(name)
        if not self._is_asked_for(name, host, port):
            return
        accepting = await _accepting(addresses) if len(addresses) > 1 else None
        if self._is_asked_for(name, host, port):
            self._choose(name, addresses, accepting)

    def _is_asked_for(self, name: str, host: str, port: int) -> bool:
        """Whether it still is a target, after something was waited for."""
        return self._targets.get(name) == (host, port)

    def _choose(self, name: str, addresses: Sequence[AddrInfoType], accepting: _Place | None) -> None:
        """Of several, the one that accepts; while none does, the one that `name` had, or the first."""
        if accepting or len(addresses) == 1:
            self._undecided.discard(name)
        else:
            self._undecided.add(name)
        first = next((one for one in addresses if one[4] == self._known.get(name)), addresses[0])
        family, address = accepting or (socket.AddressFamily(first[0]), first[4])
        if self._known.get(name) != address:
            self._known[name] = address
            self._found(name, family, address)


async def _accepting(addresses: Sequence[AddrInfoType]) -> _Place | None:
    """The address that accepts a connection first, if any does."""
    with suppress(OSError):  # TimeoutError is one
        async with asyncio.timeout(SOON):
            sock = await connect_any(addresses, b"")
        with sock:
            return sock.family, sock.getpeername()
    return None


def _is_literal(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host.partition("%")[0])
        except OSError:
            continue
        return True
    return False
