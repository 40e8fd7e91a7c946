from __future__ import annotations

from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Rules
from lbproxy.balance.member import Member
from lbproxy.balance.pool import Pool
from lbproxy.runtime.addresses import Addresses
from tests.net.peers import until


async def test_members_of_all_pools_have_their_addresses_while_they_are_members() -> None:
    pools = [Pool(name, [Backend("a", f"http://127.0.0.{last}:80")], Rules()) for name, last in (("p", 1), ("q", 2))]
    told: list[tuple[str, str, object]] = []
    addresses = Addresses(pools, lambda pool, one, family, address: told.append((pool.name, one.name, address[0])))
    await addresses.start()
    assert sorted(told) == [("p", "a", "127.0.0.1"), ("q", "a", "127.0.0.2")]
    pools[0].apply("dns", [Member("b", "http://127.0.0.3:80")])
    await until(lambda: ("p", "b", "127.0.0.3") in told)
    pools[0].apply("dns", [Member("b", "http://127.0.0.4:80")])
    await until(lambda: ("p", "b", "127.0.0.4") in told)
    assert told[2:] == [("p", "b", "127.0.0.3"), ("p", "b", "127.0.0.4")]
    pools[0].apply("dns", [])
    await addresses.stop()
    assert repr(addresses) == "<addresses by <Resolver of 2, 0 failing>>"
    assert [len(pool.observers) for pool in pools] == [0, 0]
