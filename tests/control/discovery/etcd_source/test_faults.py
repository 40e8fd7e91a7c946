"""A cluster of three real servers in which one is killed, or cut off, while connectors register and a pool follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from lbproxy.balance.member import Member
from lbproxy.control.discovery import registry
from lbproxy.control.discovery.discovery import Discovery
from lbproxy.control.discovery.etcd_source import EtcdSource
from lbproxy.control.discovery.registry import Connector
from lbproxy.control.etcd import Access, Etcd
from tests.etcd_islands import islands
from tests.etcd_server import Node, cluster

PREFIX = registry.connectors("eu", "p")


class Following:
    """A discovery of the pool through all of the cluster; `failures` are those that it has told of."""

    def __init__(self, etcd: Etcd) -> None:
        self.members: set[str] = set()
        self._changed = asyncio.Event()
        self.discovery = Discovery("p", EtcdSource(etcd, PREFIX), self._apply, 30.0)

    def _apply(self, source: str, members: tuple[Member, ...]) -> tuple[str, ...]:
        self.members = {member.name for member in members}
        self._changed.set()
        return ()

    async def fails(self) -> None:
        """It has no answer any more."""
        async with asyncio.timeout(60):
            while self.discovery.belief.failing_since is None:  # noqa: ASYNC110 # there is no event for it
                await asyncio.sleep(0.05)

    async def until(self, *names: str) -> None:
        """These are the members."""
        async with asyncio.timeout(60):
            while self.members != set(names):
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def following(nodes: Sequence[Node]) -> AsyncIterator[Following]:
    """Its watch is at the first of `nodes`."""
    etcd = Etcd(Access(tuple(one.url for one in nodes)))
    made = Following(etcd)
    made.discovery.start()
    await made.discovery.answered.wait()
    yield made
    await made.discovery.stop()
    await etcd.close()


async def put(nodes: Sequence[Node], *names: str) -> None:
    """Connectors of these names, written through `nodes`."""
    etcd = Etcd(Access(tuple(one.url for one in nodes)))
    for name in names:
        await etcd.put(PREFIX + name, Connector(f"http://{name}:1").encode(), repeatable=True, within=60)
    await etcd.close()


def leader_first(nodes: Sequence[Node]) -> list[Node]:
    return sorted(nodes, key=lambda one: not one.leads)


async def test_a_leader_that_is_killed(tmp_path: Path) -> None:
    with cluster(tmp_path, 3) as nodes:
        leader, *others = await asyncio.to_thread(leader_first, nodes)
        await put(others, "c1", "c2")
        async with following([leader, *others]) as pool:
            await pool.until("c1", "c2")
            leader.kill()
            await put(others, "c3")
            await pool.until("c1", "c2", "c3")
            await asyncio.to_thread(leader.start)


async def test_a_member_that_has_lost_the_others(tmp_path: Path) -> None:
    """It answers its clients, and knows nothing new."""
    with islands(tmp_path, 3) as nodes:
        lost, *others = nodes
        await put(others, "c1")
        async with following(nodes) as pool:
            await pool.until("c1")
            lost.lose(*others)
            await put(others, "c2")
            await pool.until("c1", "c2")
            lost.heal(*others)


async def test_a_member_that_does_not_reach_its_clients(tmp_path: Path) -> None:
    """The watch is open, and silent: its endpoint is asked, does not answer, and is left."""
    with islands(tmp_path, 3) as nodes:
        lost, *others = nodes
        await put(others, "c1")
        async with following(nodes) as pool:
            await pool.until("c1")
            lost.lose_clients()
            await put(others, "c2")
            await pool.until("c1", "c2")


async def test_a_majority_that_is_cut_off_and_comes_back(tmp_path: Path) -> None:
    """Every member has lost the others: the last set stays, and what is new is known once they have met again."""
    with islands(tmp_path, 3) as nodes:
        first, second, third = nodes
        await put(nodes, "c1", "c2")
        async with following(nodes) as pool:
            await pool.until("c1", "c2")
            first.lose(second, third)
            second.lose(third)
            await pool.fails()
            assert pool.members == {"c1", "c2"}
            first.heal(second, third)
            second.heal(third)
            await put(nodes, "c3")
            await pool.until("c1", "c2", "c3")
            assert pool.discovery.belief.failing_since is None
