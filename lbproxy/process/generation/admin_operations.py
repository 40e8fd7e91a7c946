"""What an operator may have done to a running balancer: to an instance, and to the backends of a pool."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from pydantic import ValidationError

from lbproxy import config
from lbproxy.balance import full_name, operators
from lbproxy.balance.backend import Backend
from lbproxy.balance.member import Member
from lbproxy.balance.operators import Said
from lbproxy.balance.orders import Stamp
from lbproxy.balance.pool import Pool
from lbproxy.config.messages import problems
from lbproxy.control.fleet.views import InstanceInFleetView
from lbproxy.control.instance import members
from lbproxy.control.log import event
from lbproxy.control.snapshot import BackendInPool, InstanceView
from lbproxy.errors import AdminError
from lbproxy.runtime.pool_control import PoolControl
from lbproxy.status.counter_history import CounterHistory
from lbproxy.status.counters import Counters
from lbproxy.status.snapshot import in_pool
from lbproxy.status.windows import Windows

log = logging.getLogger(__name__)

Found = tuple[PoolControl, Backend]
"""A backend, and the control of its pool."""

Told = Callable[[str, str, Said, Stamp, tuple[str, ...] | None], None]
"""Called after an order with the pool, the backend's name, what operators say of it now, who gave the order and when,
and the fields that it was about (see `control.fleet.merge`), also those that were so already; None: those that have
changed.
"""

InFleet = Callable[[list[tuple[str, str]]], InstanceInFleetView | None]


class Operations:
    """`Operations` of `control.admin.orders` and `MemberOperations` of `.members`, for the pools of `pool_controls`."""

    def __init__(
        self,
        pool_controls: Mapping[str, PoolControl],
        counted: Callable[[Pool, Backend], Counters] = lambda pool, backend: {},
        windows: Windows | None = None,
        told: Told = lambda *_: None,
        in_fleet: InFleet = lambda _: None,
        history: CounterHistory | None = None,
    ) -> None:
        """pool_controls: by the pool's name. counted: what all processes have counted of a backend. told: see `Told`.

        in_fleet: what the other balancers make of the orders for backends, each a pool and a name.
        history: what older generations have said.
        """
        self._pool_controls = pool_controls
        self._counted = counted
        self._windows = windows
        self._told = told
        self._in_fleet = in_fleet
        self._history = history

    def __repr__(self) -> str:
        return f"<operations on {' '.join(self._pool_controls)}>"

    # --- instances

    def show(self, name: str) -> InstanceView:
        """See `Operations` of the orders."""
        return self._view(self._find(name))

    def drain(self, name: str, force: bool, by: str) -> InstanceView:
        """See `Operations` of the orders; to drain one that is drained already changes nothing here."""
        found = self._find(name)
        last = [control.pool.name for control, backend in found if control.pool.is_alone(backend)]
        if last and not force:
            raise AdminError(
                f"{found[0][1].name} is the only backend of pool {', '.join(last)} in rotation; to drain it all the"
                " same, force it"
            )
        for control, backend in found:
            stamp = Stamp(by, time.time())
            if not backend.draining:
                control.drain(backend, *stamp)
                fields = {"pool": control.pool.name, "backend": backend.name, "active": self._active(control, backend)}
                event(log, logging.INFO, "backend_drained", **fields, by=by)
            self._tell(control, backend.name, stamp, ("drain",))
        return self._view(found)

    def ready(self, name: str, by: str) -> InstanceView | None:
        """See `Operations` of the orders; to end a drain that never began changes nothing here."""
        waiting = self._waiting(name)
        found = [] if waiting and not self._backends(name) else self._find(name)
        for control, backend in found:
            drained = backend.draining
            if drained:
                control.ready(backend, by, time.time())
            self._is_ready(control, backend.name, by, drained)
        for control, short in waiting:
            drained = control.pool.ordered(short).drain
            operators.end_drain(control.pool, short, Stamp(by, time.time()))
            self._is_ready(control, short, by, drained)
        return self._view(found) if found else None

    def _is_ready(self, control: PoolControl, name: str, by: str, drained: bool) -> None:
        if drained:
            event(log, logging.INFO, "backend_ready", pool=control.pool.name, backend=name, by=by)
        self._tell(control, name, Stamp(by, time.time()), ("drain",))

    # --- members

    def add(self, pool: str, name: str, url: str, weight: int, standby: bool, by: str) -> InstanceView:
        """See `MemberOperations`."""
        control = self._control(pool)
        backend = operators.add(control.pool, _fit(Member(name, url, weight, standby, Stamp(by, time.time()))))
        event(log, logging.INFO, "backend_added", pool=pool, backend=name, url=backend.url, weight=weight,
              standby=standby, by=by)  # fmt: skip
        self._tell(control, name, Stamp(by, time.time()), ("member", "weight", "standby"))
        return self._view([(control, backend)])

    def change(
        self, pool: str, name: str, given: Mapping[str, int | bool | None], force: bool, by: str
    ) -> InstanceView | None:
        """See `MemberOperations`."""
        control = self._control(pool)
        backend = operators.change(control.pool, name, given, Stamp(by, time.time()), force)
        now = control.pool.ordered(name) if backend is None else backend
        event(log, logging.INFO, "backend_set", pool=pool, backend=name, weight=now.weight, standby=now.standby, by=by)
        self._tell(control, name, Stamp(by, time.time()), tuple(given))
        return None if backend is None else self._view([(control, backend)])

    def remove(self, pool: str, name: str, force: bool, by: str) -> InstanceView | None:
        """See `MemberOperations`."""
        control = self._control(pool)
        before = control.pool.by_name(name)
        last = None if before is None else self._view([(control, before)])
        active = 0 if before is None else self._active(control, before)
        backend = operators.remove(control.pool, name, force)
        fields = {} if backend is None else {"url": backend.url, "active": active}
        event(log, logging.INFO, "backend_removed", pool=pool, backend=name, **fields, by=by)
        self._tell(control, name, Stamp(by, time.time()))
        return last

    def _active(self, control: PoolControl, backend: Backend) -> int:
        """Requests that are open on it, in all processes."""
        return int(self._counted(control.pool, backend).get("active", backend.active))

    def shared(self, found: InstanceView) -> InstanceView:
        """See `Operations` of the orders."""
        return {**found, "fleet": self._in_fleet([(one["pool"], one["backend"]["name"]) for one in members(found)])}

    def _tell(self, control: PoolControl, name: str, stamp: Stamp, fields: tuple[str, ...] | None = None) -> None:
        self._told(control.pool.name, name, operators.said(control.pool, name), stamp, fields)

    def _view(self, found: list[Found]) -> InstanceView:
        first, *others = (self._in_pool(*one) for one in found)
        orphans = 0 if self._history is None else self._history.orphans
        return self.shared({**first, "others": others, "fleet": None, "killed_generations": orphans})

    def _in_pool(self, control: PoolControl, backend: Backend) -> BackendInPool:
        return in_pool(control, backend, self._counted(control.pool, backend), self._windows)

    def _control(self, pool: str) -> PoolControl:
        if pool not in self._pool_controls:
            raise AdminError(f"there is no pool {pool}; there is {', '.join(self._pool_controls)}")
        return self._pool_controls[pool]

    def _find(self, name: str) -> list[Found]:
        """The backends that `name` stands for. Raises AdminError if there is none."""
        found = self._backends(name)
        if not found:
            raise AdminError(f"no backend is called {name}; lbproxy status shows those that there are")
        return found

    def _backends(self, name: str) -> list[Found]:
        """The same, in the order of their pools; one at most, if it is POOL/NAME."""
        return [
            (control, backend)
            for control, short in self._named(name)
            if (backend := control.pool.by_name(short)) is not None
        ]

    def _waiting(self, name: str) -> list[tuple[PoolControl, str]]:
        """The pools in which orders wait for a backend of that name, each with the name without the pool."""
        return [(control, short) for control, short in self._named(name) if short in operators.waiting(control.pool)]

    def _named(self, name: str) -> list[tuple[PoolControl, str]]:
        """The pools that NAME or POOL/NAME is about, each with NAME."""
        pool, short = full_name.split(name)
        return [(control, short) for control in self._pool_controls.values() if pool in ("", control.pool.name)]


def _fit(member: Member) -> Member:
    """The same, its URL as the file would have it. AdminError if the file could not: then it could never be kept."""
    if problem := member.problem():
        raise AdminError(problem)
    try:
        found = config.Backend(name=member.name, url=member.url, weight=member.weight, standby=member.standby)
    except ValidationError as error:
        raise AdminError("; ".join(str(problem) for problem in problems(error, config.Backend))) from None
    return member._replace(url=found.url)
