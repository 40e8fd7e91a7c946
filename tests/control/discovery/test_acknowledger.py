from __future__ import annotations

from lbproxy.control.discovery import registry
from lbproxy.control.discovery.acknowledger import Acknowledger
from lbproxy.control.discovery.registry import Acknowledgement
from lbproxy.control.etcd import Etcd, Mirror


async def _next(mirror: Mirror) -> list[Acknowledgement]:
    return [Acknowledgement.decode(one.value) for one in (await mirror.next()).values.values()]


async def test_its_key_is_what_was_told_last(etcd: Etcd, fleet_name: str) -> None:
    prefix = registry.balancers(fleet_name, "p")
    async with etcd.mirror(prefix) as mirror:
        assert await _next(mirror) == []
        acknowledger = Acknowledger(etcd, f"{prefix}lb1", 5)
        acknowledger.tell(Acknowledgement(1, {"c1": 2}))
        assert await _next(mirror) == [Acknowledgement(1, {"c1": 2})]
        acknowledger.tell(Acknowledgement(1, {"c1": 1}))
        acknowledger.tell(Acknowledgement(2))
        assert await _next(mirror) == [Acknowledgement(2)]
        await acknowledger.stop()
        assert await _next(mirror) == [], "nobody waits for it any more"


async def test_a_lost_lease_is_replaced_and_the_key_written_again(etcd: Etcd, fleet_name: str) -> None:
    prefix = registry.balancers(fleet_name, "p")
    async with etcd.mirror(prefix) as mirror:
        assert await _next(mirror) == []
        acknowledger = Acknowledger(etcd, f"{prefix}lb1", 2)
        acknowledger.tell(Acknowledgement(1))
        [written] = (await mirror.next()).values.values()
        await etcd.revoke(written.lease)
        assert await _next(mirror) == []
        assert await _next(mirror) == [Acknowledgement(1)]
        await acknowledger.stop()
