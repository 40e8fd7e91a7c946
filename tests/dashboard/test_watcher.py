from __future__ import annotations

import asyncio
from pathlib import Path

from lbproxy.dashboard.balancer import Balancer
from lbproxy.dashboard.watcher import Watcher
from lbproxy.dashboard.words import mark

from .conftest import Site


async def test_an_event_is_followed_by_a_look(site: Site, balancer: Balancer) -> None:
    watcher = Watcher(balancer)
    with watcher.follow():
        version = await watcher.changed(0)
        site.dies("c1")
        while mark((watcher.seen.snapshot or site.view)["pools"][0]["backends"][0]) != "down":
            version = await watcher.changed(version)
        while not watcher.seen.events:
            version = await watcher.changed(version)
    assert [one["name"] for one in watcher.seen.events] == ["backend_ejected"]
    await watcher.close()


async def test_several_share_a_look_and_without_any_there_is_none(site: Site, balancer: Balancer) -> None:
    watcher = Watcher(balancer)
    seen = await asyncio.gather(*(watcher.look() for _ in range(20)))
    assert all(one is seen[0] for one in seen)
    assert site.looks == 1
    with watcher.follow(), watcher.follow():
        await watcher.changed(watcher.version)
    assert watcher.watching == 0
    await watcher.close()


async def test_a_balancer_that_does_not_answer_leaves_what_was_seen(admin_socket: Path) -> None:
    site, balancer = Site(admin_socket), Balancer(admin_socket)
    watcher = Watcher(balancer)
    site.logs("first")
    async with site.open():
        before = await watcher.look()
    watcher._looked = float("-inf")
    after = await watcher.look()
    assert after.error.startswith("the balancer does not answer")
    assert (after.snapshot, after.events) == (before.snapshot, before.events)
    await balancer.close()


async def test_a_balancer_that_began_again_has_other_numbers(site: Site, balancer: Balancer) -> None:
    watcher = Watcher(balancer)
    for _ in range(3):
        site.logs("before")
    assert len((await watcher.look()).events) == 3
    site.recent.ring._last = 0
    site.recent.ring._kept.clear()
    site.logs("after")
    watcher._looked = float("-inf")
    assert [one["name"] for one in (await watcher.look()).events] == ["after"]
    await watcher.close()
