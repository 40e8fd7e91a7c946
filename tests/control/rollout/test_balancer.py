from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbproxy.control.admin.orders import order_routes
from lbproxy.control.admin.routes import read_routes
from lbproxy.control.admin.server import AdminServer
from lbproxy.control.admin.sockets import listen
from lbproxy.control.rollout.balancer import AdminBalancer
from lbproxy.control.rollout.plan import Target
from lbproxy.errors import AdminError
from tests.control.admin.pool import BareBackends
from tests.control.sample import snapshot

C1 = Target("connectors", "c1", "http://10.0.0.1:4000")


@pytest.fixture
def backends() -> BareBackends:
    return BareBackends("c1", "c2")


@pytest.fixture
async def balancer(tmp_path: Path, backends: BareBackends) -> AsyncIterator[AdminBalancer]:
    """The admin interface of a balancer with `backends`, as a rollout sees it."""
    path = tmp_path / "admin.sock"
    server = AdminServer(listen(path), [*read_routes(snapshot), *order_routes(backends)])
    await server.start()
    yield AdminBalancer(path)
    await server.stop()


async def test_gives_the_orders_of_a_rollout(balancer: AdminBalancer, backends: BareBackends) -> None:
    await balancer.drain(C1, force=False)
    assert (await balancer.instance(C1))["backend"]["draining"]
    await balancer.ready(C1)
    assert not (await balancer.instance(C1))["backend"]["draining"]
    await balancer.drain(C1, force=True)
    assert backends.orders == ["drain c1", "ready c1", "force c1"]


async def test_sees_the_pools_of_an_instance(balancer: AdminBalancer) -> None:
    [pool] = await balancer.pools(C1)
    assert [one["name"] for one in pool["backends"]] == ["c1", "c2", "c3"]
    assert await balancer.pools(Target("connectors", "c9", C1.url)) == []


async def test_a_refusal_is_an_error(balancer: AdminBalancer) -> None:
    with pytest.raises(AdminError, match="no backend is called c9"):
        await balancer.drain(Target("connectors", "c9", C1.url), force=False)


async def test_so_is_a_balancer_that_is_gone(tmp_path: Path) -> None:
    balancer = AdminBalancer(tmp_path / "admin.sock")
    with pytest.raises(AdminError, match="is not running"):
        await balancer.instance(C1)
    assert repr(balancer) == f"<balancer at {tmp_path}/admin.sock>"
