from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.control.admin.server import AdminServer
from lbproxy.control.admin.sockets import listen
from lbproxy.dashboard.balancer import Balancer
from lbproxy.errors import AdminError

from .conftest import Site


async def test_asks_for_what_there_is(site: Site, balancer: Balancer) -> None:
    site.logs("backend_drained", backend="c1")
    assert (await balancer.status())["server_url"] == "https://login.corp.example"
    assert [one["name"] for one in (await balancer.events())["events"]] == ["backend_drained"]
    assert (await balancer.history())["backends"] == {}
    assert (await balancer.connections({"pool": "connectors", "limit": "5"}))["open"] == 1


async def test_orders_are_in_the_name_of_whoever_gives_them(site: Site, balancer: Balancer) -> None:
    await balancer.drain("connectors", "c1", False, "olga@CORP.EXAMPLE")
    await balancer.weigh("connectors", "c2", 3, True, "")
    after = await balancer.ready("connectors", "c1", "olga@CORP.EXAMPLE")
    assert after is not None
    assert not after["backend"]["draining"]
    assert site.backends.orders == ["drain c1", "force c2 {'weight': 3}", "ready c1"]
    first, second = site.backends.by
    assert first == f"olga@CORP.EXAMPLE via {second}"


async def test_what_is_refused_is_said_in_its_words(site: Site, balancer: Balancer) -> None:
    with pytest.raises(AdminError, match="no backend is called connectors/c9"):
        await balancer.drain("connectors", "c9", False, "")
    site.reload_problems = ["lbproxy.toml:3: pool: missing", "another"]
    with pytest.raises(AdminError, match="pool: missing\nanother"):
        await balancer.reload("")
    with pytest.raises(AdminError, match="there is no rollout of pool connectors"):
        await balancer.cancel_rollout("connectors", "")


async def test_one_that_does_not_run_is_named(tmp_path: Path) -> None:
    balancer = Balancer(tmp_path / "none.sock")
    with pytest.raises(AdminError, match=r"the balancer does not answer: .*none\.sock"):
        await balancer.status()
    await balancer.close()


async def test_an_address_is_asked_as_a_socket_is() -> None:
    sock = listen(("127.0.0.1", 0))
    server = AdminServer(sock, [])
    await server.start()
    balancer = Balancer(sock.getsockname())
    with pytest.raises(AdminError, match="there is no such path"):
        await balancer.status()
    await balancer.close()
    await server.stop()
