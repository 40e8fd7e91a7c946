from __future__ import annotations

from lbproxy.process.generation.fleet_balancer import FleetBalancer
from lbproxy.runtime.pool_control import PoolControl
from lbproxy.status.served import Served
from tests.process.generation.test_admin_operations import pool_controls as pool_controls
from tests.status.test_served import ORIGIN


async def test_backends_are_counted_by_their_state(pool_controls: dict[str, PoolControl]) -> None:
    served = Served(1, ORIGIN)
    balancer = FleetBalancer(pool_controls, served)
    pool = pool_controls["linux"].pool
    pool.drain(pool.backends[0])
    assert balancer.backends() == {"linux": {"draining": 1, "up": 1}, "windows": {"up": 2}}
    served.state = "draining"
    assert balancer.state() == "draining"
    assert "linux windows" in repr(balancer)
