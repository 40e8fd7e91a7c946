"""What an operator may have done to an instance of a running balancer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from lbproxy.balance.backend import Backend
from lbproxy.control.log import event
from lbproxy.control.snapshot import BackendInPool, InstanceView
from lbproxy.errors import AdminError
from lbproxy.runtime.pool_control import PoolControl
from lbproxy.status.snapshot import in_pool

log = logging.getLogger(__name__)

Member = tuple[PoolControl, Backend]
"""A backend, and the control of its pool."""


class Operations:
    """`control.admin.orders.Operations` for the pools of `links`."""

    def __init__(
        self,
        pool_controls: Mapping[str, PoolControl],
        complete: Callable[[BackendInPool], BackendInPool] = lambda found: found,
        told: Callable[[str, str, bool], None] = lambda *_: None,
    ) -> None:
        """links: by the pool's name. complete: adds what other processes counted.

        told: called after an order with the pool, the backend and whether it drains.
        """
        self._pool_controls = pool_controls
        self._complete = complete
        self._told = told

    def __repr__(self) -> str:
        return f"<operations on {' '.join(self._pool_controls)}>"

    def show(self, name: str) -> InstanceView:
        """See `Operations` of the orders."""
        return self._view(self._find(name))

    def drain(self, name: str, force: bool) -> InstanceView:
        """See `Operations` of the orders; to drain one that is drained already changes nothing."""
        found = self._find(name)
        last = [
            control.pool.name for control, backend in found if backend.in_rotation and len(control.pool.rotation) == 1
        ]
        if last and not force:
            raise AdminError(
                f"{found[0][1].name} is the only backend of pool {', '.join(last)} in rotation; to drain it all the"
                " same, force it"
            )
        for control, backend in found:
            if not backend.draining:
                control.drain(backend)
                fields = {"pool": control.pool.name, "backend": backend.name, "active": backend.active}
                event(log, logging.INFO, "backend_drained", **fields)
                self._told(control.pool.name, backend.name, True)
        return self._view(found)

    def ready(self, name: str) -> InstanceView:
        """See `Operations` of the orders; to end a drain that never began changes nothing."""
        found = self._find(name)
        for control, backend in found:
            if backend.draining:
                control.ready(backend)
                event(log, logging.INFO, "backend_ready", pool=control.pool.name, backend=backend.name)
                self._told(control.pool.name, backend.name, False)
        return self._view(found)

    def _view(self, found: list[Member]) -> InstanceView:
        first, *others = (self._complete(in_pool(*one)) for one in found)
        return {**first, "others": others}

    def _find(self, name: str) -> list[Member]:
        """The backends that `name` stands for, in the order of their pools; one, if it is POOL/NAME."""
        pool, _, short = name.rpartition("/")
        pool_controls = [control for control in self._pool_controls.values() if pool in ("", control.pool.name)]
        found = [
            (control, backend) for control in pool_controls if (backend := control.pool.by_name(short)) is not None
        ]
        if not found:
            raise AdminError(f"no backend is called {name}; lbproxy status shows those that there are")
        return found
