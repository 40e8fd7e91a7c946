from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from lbproxy.control.discovery import registry
from lbproxy.control.discovery.acknowledger import Acknowledger
from lbproxy.control.discovery.registry import Acknowledgement
from lbproxy.control.etcd import Access, Etcd, Mirror
from tests.etcd_server import node


class Left:
    """What is left on connectors that have gone; None: a worker does not say."""

    def __init__(self) -> None:
        self.now: Mapping[str, int] | None = {}

    async def count(self) -> Mapping[str, int] | None:
        return self.now


async def _next(mirror: Mirror) -> list[Acknowledgement]:
    return [Acknowledgement.decode(one.value) for one in (await mirror.next()).values.values()]


async def test_its_key_is_what_was_seen_and_is_left(etcd: Etcd, fleet_name: str) -> None:
    prefix, left = registry.balancers(fleet_name, "p"), Left()
    async with etcd.mirror(prefix) as mirror:
        assert await _next(mirror) == []
        acknowledger = Acknowledger(etcd, f"{prefix}lb1", 5, left.count)
        acknowledger.seen(1)
        assert await _next(mirror) == [Acknowledgement(1)]
        left.now = {"c1": 2}
        acknowledger.seen(2)
        assert await _next(mirror) == [Acknowledgement(2, {"c1": 2})]
        left.now = {"c1": 1}
        assert await _next(mirror) == [Acknowledgement(2, {"c1": 1})], "it counts again by itself"
        left.now = {}
        assert await _next(mirror) == [Acknowledgement(2)]
        await acknowledger.stop()
        assert await _next(mirror) == [], "nobody waits for it any more"


async def test_nothing_is_acknowledged_until_every_worker_has_told(etcd: Etcd, fleet_name: str) -> None:
    prefix, left = registry.balancers(fleet_name, "p"), Left()
    async with etcd.mirror(prefix) as mirror:
        assert await _next(mirror) == []
        acknowledger = Acknowledger(etcd, f"{prefix}lb1", 5, left.count)
        left.now = None
        acknowledger.seen(3)
        mark = await etcd.put(f"{prefix}mark", Acknowledgement(0).encode())
        assert (await mirror.next()).revision == mark
        left.now = {}
        assert Acknowledgement(3) in await _next(mirror)
        await acknowledger.stop()


async def test_a_lost_lease_is_replaced_and_the_key_written_again(etcd: Etcd, fleet_name: str) -> None:
    prefix = registry.balancers(fleet_name, "p")
    async with etcd.mirror(prefix) as mirror:
        assert await _next(mirror) == []
        acknowledger = Acknowledger(etcd, f"{prefix}lb1", 2, Left().count)
        acknowledger.seen(1)
        [written] = (await mirror.next()).values.values()
        await etcd.revoke(written.lease)
        assert await _next(mirror) == []
        assert await _next(mirror) == [Acknowledgement(1)]
        await acknowledger.stop()


async def test_an_etcd_that_is_away_is_told_of_once_and_the_end_does_not_wait_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with node(tmp_path) as server:
        etcd = Etcd(Access((server.url,)))
        prefix, left = registry.balancers("eu", "p"), Left()
        acknowledger = Acknowledger(etcd, f"{prefix}lb1", 5, left.count)
        async with etcd.mirror(prefix) as mirror:
            assert await _next(mirror) == []
            acknowledger.seen(1)
            assert await _next(mirror) == [Acknowledgement(1)]
            server.kill()
            acknowledger.seen(2)
            server.start()
            while (told := await _next(mirror)) != [Acknowledgement(2)]:
                assert told in ([], [Acknowledgement(1)])
        server.kill()
        await acknowledger.stop()
        await etcd.close()
    events = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert events.count("acknowledgement_left") == 1
    assert events.count("acknowledgement_failed") <= 1
