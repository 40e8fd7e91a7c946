from __future__ import annotations

from lbproxy.balance import operators
from lbproxy.balance.backend import Backend
from lbproxy.balance.member import Member
from lbproxy.balance.operators import Said
from lbproxy.balance.orders import Order
from lbproxy.balance.pool import Pool
from lbproxy.process.generation.fleet_balancer import Ejections, FleetBalancer
from lbproxy.reasons import CONNECT_REFUSED
from lbproxy.runtime.pool_control import PoolControl
from lbproxy.status.counter_history import CounterHistory
from lbproxy.status.counters import Counters, of_backend
from lbproxy.status.served import Served
from tests.process.generation.test_admin_operations import pool_controls as pool_controls
from tests.status.test_served import ORIGIN


def made(
    pool_controls: dict[str, PoolControl],
    served: Served,
    heard: list[tuple[str, str, Said]] | None = None,
    history: CounterHistory | None = None,
) -> FleetBalancer:
    told: list[tuple[str, str, Said]] = [] if heard is None else heard

    def counted(_: Pool, backend: Backend) -> Counters:
        return {**of_backend(backend)}

    return FleetBalancer(
        pool_controls,
        served,
        lambda *one: told.append(one),
        counted,
        None,
        lambda *_: None,
        history or CounterHistory(list),
    )


async def test_backends_are_counted_by_their_state(pool_controls: dict[str, PoolControl]) -> None:
    served = Served(1, ORIGIN)
    balancer = made(pool_controls, served)
    pool = pool_controls["linux"].pool
    pool.drain(pool.backends[0])
    assert balancer.backends() == {"linux": {"draining": 1, "up": 1}, "windows": {"up": 2}}
    served.state = "draining"
    assert balancer.state() == "draining"
    assert "linux windows" in repr(balancer)


async def test_what_operators_have_ordered(pool_controls: dict[str, PoolControl]) -> None:
    balancer = made(pool_controls, Served(1, ORIGIN))
    pool = pool_controls["linux"].pool
    assert [*balancer.ordered()] == []
    pool.drain(pool.backends[0], "olga", 5.0)
    operators.add(pool, Member("c4", "http://127.0.0.5:9"))
    assert {(name, backend, told.order.drain, told.member is None) for name, backend, told in balancer.ordered()} == {
        ("linux", "c1", True, True),
        ("linux", "c4", False, False),
    }
    assert (balancer.has("linux", "c4"), balancer.has("linux", "c5"), balancer.has("no", "c4")) == (True, False, False)


async def test_orders_of_pools_that_are_not_here_wait(pool_controls: dict[str, PoolControl]) -> None:
    heard: list[tuple[str, str, Said]] = []
    balancer = made(pool_controls, Served(1, ORIGIN), heard)
    told = Said(None, Order(drain=True))
    balancer.apply("no", "c1", told)
    balancer.apply("linux", "c9", told)
    assert heard == [("linux", "c9", told)]


async def test_what_is_left_on_drained_backends(pool_controls: dict[str, PoolControl]) -> None:
    history = CounterHistory(list)
    balancer = made(pool_controls, Served(1, ORIGIN), history=history)
    pool = pool_controls["linux"].pool
    first, second = pool.backends
    first.active = second.active = 2
    pool.drain(first)
    assert balancer.left() == {"linux/c1": "2 requests"}
    first.active = 0
    assert balancer.left() == {}
    history.told(1, {}, orders=4)
    assert (await balancer.count(), balancer.heard(5)) == (True, 4)
    history.killed(1)
    assert balancer.left() == {"linux/c1": "what workers of a killed generation have"}
    history.gone(1)
    assert balancer.left() == {}


async def test_an_ejection_is_told_and_one_elsewhere_is_looked_into(pool_controls: dict[str, PoolControl]) -> None:
    balancer = made(pool_controls, Served(1, ORIGIN))
    looks: list[bool] = []
    pool = pool_controls["linux"].pool
    pool.observers.append(Ejections(lambda: looks.append(True)))
    first, _ = pool.backends
    assert balancer.ejected() == {}
    assert balancer.probe("linux", "c1")
    pool.evidence(first, CONNECT_REFUSED, 5.0)
    assert (balancer.ejected(), looks) == ({"linux/c1": 1}, [True])
    assert not balancer.probe("linux", "c1"), "it is out here too"
    assert not balancer.probe("linux", "c9")
    assert not balancer.probe("no", "c1")


async def test_what_is_in_rotation(pool_controls: dict[str, PoolControl]) -> None:
    balancer = made(pool_controls, Served(1, ORIGIN))
    pool = pool_controls["linux"].pool
    pool.drain(pool.backends[0])
    assert balancer.rotation() == {"linux": 1, "windows": 2}
    assert balancer.out() == ["linux/c1"]
