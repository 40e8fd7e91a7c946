from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lbproxy.control.discovery import registration, registry
from lbproxy.control.discovery.acknowledger import Acknowledger
from lbproxy.control.discovery.registration import NameTakenError, Place, Registration
from lbproxy.control.discovery.registry import Acknowledgement, Connector
from lbproxy.control.etcd import Access, Etcd, Mirror, View
from lbproxy.control.probes import ProbeResult
from tests.etcd_server import node

URL = "http://10.0.0.11:4000"


class Check:
    """Says what it is told to say."""

    def __init__(self, ok: bool = True) -> None:
        self.ok = ok

    async def run(self) -> ProbeResult:
        return ProbeResult(self.ok, "200" if self.ok else "connection refused", 0.0)


class Running:
    """A registration of c1 that runs until `end`."""

    def __init__(self, etcd: Etcd, fleet: str, *, check: Check | None = None, by: str = "1", drain: float = 20) -> None:
        self.check = check or Check()
        self.end = asyncio.Event()
        self.place = Place(fleet, "p", "c1")
        connector = Connector(URL, {"version": "1"}, f"pid {by} on c1", by, 1.0)
        registration = Registration(etcd, self.place, connector, self.check, 2, interval=0.05)
        self.task = asyncio.create_task(registration.run(self.end, drain))

    async def stop(self) -> None:
        self.end.set()
        await self.task


@asynccontextmanager
async def watched(etcd: Etcd, fleet: str) -> AsyncIterator[Mirror]:
    """The connectors of the pool, which has none yet."""
    async with etcd.mirror(registry.connectors(fleet, "p")) as mirror:
        assert (await mirror.next()).values == {}
        yield mirror


def _states(view: View) -> list[str]:
    return [Connector.decode(one.value).state for one in view.values.values()]


async def _urls(mirror: Mirror) -> list[str]:
    return [Connector.decode(one.value).url for one in (await mirror.next()).values.values()]


async def test_it_serves_while_its_check_is_good_and_leaves_before_it_ends(etcd: Etcd, fleet_name: str) -> None:
    async with watched(etcd, fleet_name) as mirror:
        one = Running(etcd, fleet_name)
        [(key, value)] = (await mirror.next()).values.items()
        assert key == f"/lbproxy/{fleet_name}/pools/p/connectors/c1"
        assert Connector.decode(value.value) == Connector(URL, {"version": "1"}, "pid 1 on c1", "1", 1.0)
        assert value.lease
        one.check.ok = False
        assert _states(await mirror.next()) == ["out"]
        one.check.ok = True
        assert _states(await mirror.next()) == ["serving"]
        await one.stop()
        assert _states(await mirror.next()) == ["leaving"]
        assert _states(await mirror.next()) == []


async def test_one_that_was_never_good_just_ends(etcd: Etcd, fleet_name: str) -> None:
    one = Running(etcd, fleet_name, check=Check(ok=False))
    await asyncio.sleep(0)
    await one.stop()


async def test_the_name_of_a_live_one_is_refused_with_who_has_it(etcd: Etcd, fleet_name: str) -> None:
    async with watched(etcd, fleet_name) as mirror:
        one = Running(etcd, fleet_name)
        await mirror.next()
        other = Running(etcd, fleet_name, by="2")
        with pytest.raises(NameTakenError, match=r"p/c1 is registered by pid 1 on c1, for http://10\.0\.0\.11:4000"):
            await other.task
        await one.stop()
        assert _states(await mirror.next()) == ["leaving"], "nothing of the other one was in between"


async def test_the_name_of_a_dead_one_is_free_within_its_lease(etcd: Etcd, fleet_name: str) -> None:
    async with watched(etcd, fleet_name) as mirror:
        lease, _ = await etcd.grant(2)  # which is not kept
        await etcd.put(Place(fleet_name, "p", "c1").key, Connector("http://dead:1", id="0").encode(), lease)
        assert await _urls(mirror) == ["http://dead:1"]
        one = Running(etcd, fleet_name)
        assert await _urls(mirror) == []
        assert await _urls(mirror) == [URL]
        await one.stop()


async def test_a_lost_lease_is_replaced(etcd: Etcd, fleet_name: str) -> None:
    async with watched(etcd, fleet_name) as mirror:
        one = Running(etcd, fleet_name)
        [value] = (await mirror.next()).values.values()
        await etcd.revoke(value.lease)
        assert await _urls(mirror) == []
        assert await _urls(mirror) == [URL]
        await one.stop()


async def test_it_waits_until_every_balancer_has_drained_it(
    etcd: Etcd, fleet_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    balancers, left = registry.balancers(fleet_name, "p"), {"c1": 1}

    async def count() -> dict[str, int]:
        return left.copy()

    async def nothing() -> dict[str, int]:
        return {}

    lb1 = Acknowledger(etcd, f"{balancers}lb1", 5, count)
    lb2 = Acknowledger(etcd, f"{balancers}lb2", 5, nothing)
    async with watched(etcd, fleet_name) as mirror, etcd.mirror(balancers) as acknowledged:
        await acknowledged.next()
        one = Running(etcd, fleet_name)
        there = (await mirror.next()).revision
        for balancer in (lb1, lb2):
            balancer.seen(there)
            await acknowledged.next()
        one.end.set()
        leaving = await mirror.next()
        assert _states(leaving) == ["leaving"]
        lb1.seen(leaving.revision)
        await acknowledged.next()
        lb2.seen(leaving.revision)
        await acknowledged.next()
        assert not one.task.done(), "lb1 has one to finish"
        left.clear()
        await one.task
        assert (await mirror.next()).values == {}
    await asyncio.gather(lb1.stop(), lb2.stop())
    assert not [record for record in caplog.records if record.levelno > logging.INFO], "all is well"


async def test_a_balancer_that_dies_is_not_waited_for(etcd: Etcd, fleet_name: str) -> None:
    balancers = registry.balancers(fleet_name, "p")
    lease, _ = await etcd.grant(2)
    await etcd.put(f"{balancers}lb1", Acknowledgement(1).encode(), lease)
    async with watched(etcd, fleet_name) as mirror:
        one = Running(etcd, fleet_name)
        await mirror.next()
        await one.stop()


async def test_after_the_drain_timeout_it_ends_and_says_who_was_not_done(
    etcd: Etcd, fleet_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    balancers = registry.balancers(fleet_name, "p")
    lease, _ = await etcd.grant(60)
    await etcd.put(f"{balancers}lb1", Acknowledgement(10**9, {"c1": 3}).encode(), lease)
    await etcd.put(f"{balancers}lb2", b'{"format": 9}', lease)
    async with watched(etcd, fleet_name) as mirror:
        one = Running(etcd, fleet_name, drain=0.3)
        await mirror.next()
        await one.stop()
    [record] = [each for each in caplog.records if each.message == "connector_drain_timeout"]
    assert record.levelno == logging.WARNING
    assert vars(record)["fields"]["waits_for"] == "lb1: has 3 to finish, lb2: format 9, where 1 is known"
    await etcd.revoke(lease)


async def test_it_waits_for_an_etcd_that_is_away_and_registers_again(tmp_path: Path) -> None:
    with node(tmp_path) as server:
        etcd = Etcd(Access((server.url,)))
        async with watched(etcd, "eu") as mirror:
            one = Running(etcd, "eu")
            await mirror.next()
            server.kill()
            server.start()
            await etcd.put(
                "/lbproxy/eu/pools/p/connectors/c2", Connector("http://c2:1").encode(), repeatable=True, within=20
            )
            while len(urls := await _urls(mirror)) < 2:
                pass
            assert set(urls) == {URL, "http://c2:1"}
            server.kill()
            one.end.set()
            server.start()
            await one.task
            assert [one.key for one in (await etcd.list(registry.connectors("eu", "p"), within=20)).values] == [
                "/lbproxy/eu/pools/p/connectors/c2"
            ]
        await etcd.close()


async def test_a_key_that_was_deleted_by_somebody_is_written_again(etcd: Etcd, fleet_name: str) -> None:
    """By an administrator, say; it is noticed when the connector has something to say."""
    async with watched(etcd, fleet_name) as mirror:
        one = Running(etcd, fleet_name)
        await mirror.next()
        await etcd.delete(one.place.key)
        assert _states(await mirror.next()) == []
        one.end.set()
        assert _states(await mirror.next()) == ["leaving"]
        await one.task


async def test_one_that_leaves_keeps_its_name_as_long(
    etcd: Etcd, fleet_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its successor waits: it is no registration that stays."""
    monkeypatch.setattr(registration, "_LATE", 0.0)
    balancers = registry.balancers(fleet_name, "p")
    lease, _ = await etcd.grant(60)
    await etcd.put(f"{balancers}lb1", Acknowledgement(0).encode(), lease)
    async with watched(etcd, fleet_name) as mirror:
        one = Running(etcd, fleet_name)
        await mirror.next()
        one.end.set()
        assert _states(await mirror.next()) == ["leaving"]
        other = Running(etcd, fleet_name, by="2")
        await asyncio.wait([other.task], timeout=2.5)  # more than a lease
        assert not other.task.done()
        await etcd.revoke(lease)
        await one.task
        assert _states(await mirror.next()) == []
        assert _states(await mirror.next()) == ["serving"]
        await other.stop()
