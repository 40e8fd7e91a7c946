"""What an operator may have done to a backend of a running balancer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from lbproxy.balance.backend import Backend
from lbproxy.control.log import event
from lbproxy.control.snapshot import BackendInPool
from lbproxy.errors import AdminError
from lbproxy.process.link import Link
from lbproxy.process.view import in_pool

log = logging.getLogger(__name__)


class Operations:
    """`control.admin.orders.Operations` for the pools of `links`."""

    def __init__(
        self,
        links: Mapping[str, Link],
        complete: Callable[[BackendInPool], BackendInPool] = lambda found: found,
        told: Callable[[str, str, bool], None] = lambda *_: None,
    ) -> None:
        """links: by the pool's name. complete: adds what other processes counted.

        told: called after an order with the pool, the backend and whether it drains.
        """
        self._links = links
        self._complete = complete
        self._told = told

    def __repr__(self) -> str:
        return f"<operations on {' '.join(self._links)}>"

    def show(self, name: str) -> BackendInPool:
        """See `Operations` of the orders."""
        return self._complete(in_pool(*self._find(name)))

    def drain(self, name: str, force: bool) -> BackendInPool:
        """See `Operations` of the orders; to drain one that is drained already changes nothing."""
        link, backend = self._find(name)
        if backend.in_rotation and len(link.pool.rotation) == 1 and not force:
            raise AdminError(
                f"{backend.name} is the only backend of pool {link.pool.name} in rotation; to drain it all the same,"
                " force it"
            )
        if not backend.draining:
            link.drain(backend)
            event(
                log, logging.INFO, "backend_drained", pool=link.pool.name, backend=backend.name, active=backend.active
            )
            self._told(link.pool.name, backend.name, True)
        return self._complete(in_pool(link, backend))

    def ready(self, name: str) -> BackendInPool:
        """See `Operations` of the orders; to end a drain that never began changes nothing."""
        link, backend = self._find(name)
        if backend.draining:
            link.ready(backend)
            event(log, logging.INFO, "backend_ready", pool=link.pool.name, backend=backend.name)
            self._told(link.pool.name, backend.name, False)
        return self._complete(in_pool(link, backend))

    def _find(self, name: str) -> tuple[Link, Backend]:
        """The one backend of that name, NAME or POOL/NAME, and its pool's link."""
        pool, _, short = name.rpartition("/")
        links = [link for link in self._links.values() if pool in ("", link.pool.name)]
        found = [(link, backend) for link in links if (backend := link.pool.by_name(short)) is not None]
        if not found:
            raise AdminError(f"no backend is called {name}; lbproxy status shows those that there are")
        if len(found) > 1:
            names = " or ".join(f"{link.pool.name}/{short}" for link, _ in found)
            raise AdminError(f"more than one pool has a backend {name}: write {names}")
        return found[0]
