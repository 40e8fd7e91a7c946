"""This balancer, as its fleet sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

from lbproxy.balance import full_name, operators
from lbproxy.balance.backend import Backend, State
from lbproxy.balance.feed import Observer
from lbproxy.balance.health import Change
from lbproxy.balance.membership import OPERATOR
from lbproxy.balance.operators import Said
from lbproxy.balance.pool import Pool
from lbproxy.control.draining import unfinished
from lbproxy.reasons import Reason
from lbproxy.runtime.pool_control import PoolControl
from lbproxy.status.counter_history import CounterHistory
from lbproxy.status.counters import Counters
from lbproxy.status.served import Served
from lbproxy.status.snapshot import in_pool


class Ejections(Observer):
    """Calls `look` whenever a backend is ejected."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look

    def changed(self, pool: Pool, backend: Backend, change: Change | None, reason: Reason | None, detail: str) -> None:
        """See `Observer`."""
        if change is Change.EJECT:
            self._look()


class FleetBalancer:
    """`control.fleet.place.Balancer`, for the pools of `pool_controls`, which are by their names."""

    def __init__(
        self,
        pool_controls: Mapping[str, PoolControl],
        served: Served,
        hear: Callable[[str, str, Said], None],
        counted: Callable[[Pool, Backend], Counters],
        count: Callable[[], Awaitable[bool]] | None,
        seal: Callable[[Sequence[bytes], bool], None],
        history: CounterHistory,
    ) -> None:
        """hear: carries out what operators say of a pool's backend. counted: what all processes have counted of it.

        count: has the other processes count, if there are any. seal: see `Balancer`. history: what older generations
        have said.
        """
        self._pool_controls = pool_controls
        self._served = served
        self._hear = hear
        self._counted = counted
        self._count = count
        self._seal = seal
        self._history = history

    def __repr__(self) -> str:
        return f"<balancer of {' '.join(self._pool_controls)} for its fleet>"

    def state(self) -> str:
        """See `Balancer`."""
        return self._served.shown

    def backends(self) -> dict[str, dict[str, int]]:
        """See `Balancer`. One that is drained counts as draining, whatever its health is."""
        return {
            name: dict(Counter("draining" if one.draining else one.state.value for one in control.pool.backends))
            for name, control in self._pool_controls.items()
        }

    def ordered(self) -> Iterator[tuple[str, str, Said]]:
        """See `Balancer`."""
        for name, control in self._pool_controls.items():
            pool = control.pool
            for backend in {*pool.orders, *(member.name for member in pool.membership.of(OPERATOR))}:
                yield name, backend, operators.said(pool, backend)

    def apply(self, pool: str, name: str, told: Said) -> None:
        """See `Balancer`."""
        if pool in self._pool_controls:
            self._hear(pool, name, told)

    def has(self, pool: str, name: str) -> bool:
        """See `Balancer`."""
        control = self._pool_controls.get(pool)
        return control is not None and control.pool.by_name(name) is not None

    def ejected(self) -> dict[str, int]:
        """See `Balancer`."""
        return {
            full_name.join(name, backend.name): backend.ejections
            for name, control in self._pool_controls.items()
            for backend in control.pool.backends
            if backend.state is State.DOWN
        }

    def rotation(self) -> dict[str, int]:
        """See `Balancer`."""
        return {
            name: sum(one.in_rotation for one in control.pool.backends) for name, control in self._pool_controls.items()
        }

    def out(self) -> list[str]:
        """See `Balancer`."""
        return [
            full_name.join(name, one.name)
            for name, control in self._pool_controls.items()
            for one in control.pool.backends
            if not one.in_rotation
        ]

    def probe(self, pool: str, name: str) -> bool:
        """See `Balancer`."""
        control = self._pool_controls.get(pool)
        backend = None if control is None else control.pool.by_name(name)
        if control is None or backend is None or backend.state is not State.UP:
            return False
        control.prober.probe_now(name)
        return True

    def seal(self, secrets: Sequence[bytes], first: bool) -> None:
        """See `Balancer`."""
        self._seal(secrets, first)

    async def count(self) -> bool:
        """See `Balancer`."""
        return self._count is None or await self._count()

    def heard(self, revision: int) -> int | None:
        """See `Balancer`."""
        return self._history.heard(revision)

    def left(self) -> dict[str, str]:
        """See `Balancer`."""
        return {
            full_name.join(name, backend.name): what
            for name, control in self._pool_controls.items()
            for backend in control.pool.backends
            if backend.draining and (what := self._unfinished(control, backend))
        }

    def _unfinished(self, control: PoolControl, backend: Backend) -> str:
        seen = in_pool(control, backend, self._counted(control.pool, backend))
        return unfinished({**seen, "others": [], "fleet": None, "killed_generations": self._history.orphans})
