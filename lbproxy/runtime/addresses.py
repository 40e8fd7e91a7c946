"""Where every member of every pool is: names are resolved off the data path, and their addresses given to it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable

from lbproxy.balance import full_name
from lbproxy.balance.backend import Backend
from lbproxy.balance.feed import Observer
from lbproxy.balance.pool import Pool
from lbproxy.control.discovery.resolver import Resolver

Resolved = Callable[[Pool, Backend, socket.AddressFamily, tuple[object, ...]], None]
"""Told of each address that is new."""


class Addresses(Observer):
    """Follows the pools from `start` to `stop`."""

    def __init__(self, pools: Iterable[Pool], resolved: Resolved) -> None:
        self._pools = tuple(pools)
        self._resolved = resolved
        # Backends of two pools may share a name: the pool counts here.
        self._members = {_key(pool, backend): (pool, backend) for pool in self._pools for backend in pool.backends}
        targets = {key: (backend.host, backend.port) for key, (_, backend) in self._members.items()}
        self._resolver = Resolver(targets, self._found)

    def __repr__(self) -> str:
        return f"<addresses by {self._resolver!r}>"

    async def start(self) -> None:
        """Returns when everything was looked up once."""
        for pool in self._pools:
            pool.observers.append(self)
        await self._resolver.start()

    async def stop(self) -> None:
        """Nothing is looked up after this returns."""
        for pool in self._pools:
            if self in pool.observers:
                pool.observers.remove(self)
        await self._resolver.stop()

    def joined(self, pool: Pool, backend: Backend) -> None:
        """See `Observer`."""
        self._members[_key(pool, backend)] = (pool, backend)
        self._resolver.add(_key(pool, backend), backend.host, backend.port)

    def left(self, pool: Pool, backend: Backend) -> None:
        """See `Observer`."""
        del self._members[_key(pool, backend)]
        self._resolver.remove(_key(pool, backend))

    def _found(self, key: str, family: socket.AddressFamily, address: tuple[object, ...]) -> None:
        pool, backend = self._members[key]
        self._resolved(pool, backend, family, address)


def _key(pool: Pool, backend: Backend) -> str:
    return full_name.join(pool.name, backend.name)
