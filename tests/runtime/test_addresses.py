from __future__ import annotations

import socket
from types import SimpleNamespace

from lbproxy.balance.backend import Backend
from lbproxy.balance.feed import Observer
from lbproxy.balance.health import Rules
from lbproxy.balance.member import Member
from lbproxy.balance.pool import Pool
from lbproxy.runtime.addresses import Addresses
from tests.net.peers import until


class Equipped(Observer):
    """Gives those who join something to have an address."""

    def joined(self, pool: Pool, backend: Backend) -> None:
        backend.lanes = SimpleNamespace(address=None)


async def test_members_of_all_pools_have_their_addresses_while_they_are_members() -> None:
    pools = [Pool(name, [Backend("a", f"http://127.0.0.{last}:80")], Rules()) for name, last in (("p", 1), ("q", 2))]
    for pool in pools:
        pool.observers.append(Equipped())
        pool.backends[0].lanes = SimpleNamespace(address=None)
    told: list[tuple[str, str, object]] = []
    addresses = Addresses(pools, lambda pool, one, family, address: told.append((pool.name, one.name, address[0])))
    await addresses.start()
    assert sorted(told) == [("p", "a", "127.0.0.1"), ("q", "a", "127.0.0.2")]
    assert pools[1].backends[0].lanes.address == (socket.AF_INET, ("127.0.0.2", 80))
    pools[0].apply("dns", [Member("b", "http://127.0.0.3:80")])
    await until(lambda: ("p", "b", "127.0.0.3") in told)
    moved = pools[0].by_name("b")
    assert moved is not None
    pools[0].apply("dns", [Member("b", "http://127.0.0.4:80")])
    await until(lambda: ("p", "b", "127.0.0.4") in told)
    assert moved.lanes.address == (socket.AF_INET, ("127.0.0.3", 80))
    pools[0].apply("dns", [])
    await addresses.stop()
    assert repr(addresses) == "<addresses by <Resolver of 2, 0 failing>>"
    assert [len(pool.observers) for pool in pools] == [1, 1]
