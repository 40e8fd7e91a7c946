"""A source that follows a real etcd."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lbproxy.balance.member import Member
from lbproxy.control.discovery import registry
from lbproxy.control.discovery.acknowledger import Acknowledger
from lbproxy.control.discovery.etcd_source import EtcdSource
from lbproxy.control.discovery.registry import Acknowledgement, Connector, State
from lbproxy.control.discovery.source import Answer, SourceError
from lbproxy.control.etcd import Access, Etcd
from tests.etcd_server import node

FOREVER = 3600.0


@asynccontextmanager
async def following(etcd: Etcd, prefix: str, grace: float = 0.0) -> AsyncIterator[EtcdSource]:
    source = EtcdSource(etcd, prefix, grace=grace)
    await source.start()
    yield source
    await source.stop()


async def changes(source: EtcdSource) -> None:
    """Wait for it, as long as a test may."""
    async with asyncio.timeout(30):
        await source.wait(FOREVER)


@pytest.fixture
def prefix(fleet_name: str) -> str:
    return registry.connectors(fleet_name, "p")


def connector(name: str, state: State = State.SERVING, **facts: str) -> bytes:
    return Connector(f"http://{name}:4000", facts, state=state).encode()


async def test_connectors_come_and_go(etcd: Etcd, prefix: str) -> None:
    async with following(etcd, prefix) as source:
        assert (await source.look()).members == ()
        await etcd.put(f"{prefix}c1", connector("c1", version="1"))
        await changes(source)
        answer = await source.look()
        assert answer.members == (Member("c1", "http://c1:4000"),)
        assert answer.facts == {"c1": {"version": "1"}}
        await etcd.delete(f"{prefix}c1")
        await changes(source)
        assert await source.look() == Answer(())


async def test_one_whose_check_is_bad_is_out_and_one_that_leaves_says_so(etcd: Etcd, prefix: str) -> None:
    await etcd.put(f"{prefix}c1", connector("c1", State.OUT))
    await etcd.put(f"{prefix}c2", connector("c2", State.LEAVING))
    await etcd.put(f"{prefix}c3", connector("c3"))
    async with following(etcd, prefix) as source:
        answer = await source.look()
    assert [member.name for member in answer.members] == ["c3"]
    assert answer.leaving == {"c2"}


async def test_what_can_be_no_member_is_left_out_with_the_reason(etcd: Etcd, prefix: str) -> None:
    await etcd.put(f"{prefix}c1", b"{")
    await etcd.put(f"{prefix}c2", Connector("gopher://c2").encode())
    await etcd.put(f"{prefix}a/b", connector("c3"))
    await etcd.put(f"{prefix}c4", connector("c4"))
    async with following(etcd, prefix) as source:
        answer = await source.look()
    assert [member.name for member in answer.members] == ["c4"]
    slash, half, gopher = answer.left_out
    assert slash.startswith("a/b: ")
    assert half.startswith("c1: Expecting property name")
    assert gopher.startswith("c2: ")


async def test_one_that_registers_anew_is_another(etcd: Etcd, prefix: str) -> None:
    """All others are as they were, and not read again."""
    await etcd.put(f"{prefix}c1", connector("c1", version="1"))
    await etcd.put(f"{prefix}c2", connector("c2", version="1"))
    async with following(etcd, prefix) as source:
        before = await source.look()
        await etcd.put(f"{prefix}c2", connector("elsewhere", version="2"))
        await changes(source)
        answer = await source.look()
    assert answer.members == (before.members[0], Member("c2", "http://elsewhere:4000"))
    assert answer.members[0] is before.members[0]
    assert answer.facts == {"c1": {"version": "1"}, "c2": {"version": "2"}}


async def test_a_doubted_answer_is_asked_for_anew(etcd: Etcd, prefix: str) -> None:
    """Whatever the watch has told so far."""
    async with following(etcd, prefix) as source:
        await source.look()
        await etcd.put(f"{prefix}c1", connector("c1"))
        assert [member.name for member in (await source.look(again=True)).members] == ["c1"]


async def test_when_a_connector_leaves_that_is_acknowledged(etcd: Etcd, fleet_name: str, prefix: str) -> None:
    async def nothing() -> dict[str, int]:
        return {}

    key = f"{registry.balancers(fleet_name, 'p')}lb1.7"
    source = EtcdSource(etcd, prefix, lambda: Acknowledger(etcd, key, 5, nothing))
    async with etcd.mirror(key) as mirror:
        assert (await mirror.next()).values == {}
        await source.start()
        await source.look()
        waiting = asyncio.create_task(changes(source))
        await mirror.next()
        await etcd.put(f"{prefix}c1", connector("c1"))
        await waiting
        assert (await source.look()).members
        waiting = asyncio.create_task(changes(source))
        put = await etcd.put(f"{prefix}c1", connector("c1", State.LEAVING))
        await waiting
        assert (await source.look()).leaving
        waiting = asyncio.create_task(changes(source))
        [value] = (await mirror.next()).values.values()
        assert Acknowledgement.decode(value.value) == Acknowledgement(put)
        waiting.cancel()
        await source.stop()
        assert (await mirror.next()).values == {}


async def test_without_etcd_it_fails_and_knows_everything_when_that_is_back(tmp_path: Path) -> None:
    with node(tmp_path) as server:
        etcd, prefix = Etcd(Access((server.url,))), registry.connectors("eu", "p")
        await etcd.put(f"{prefix}c1", connector("c1"))
        async with following(etcd, prefix) as source:
            before = await source.look()
            server.kill()
            await changes(source)
            with pytest.raises(SourceError, match=r"etcd http://127\.0\.0\.1:\d+: "):
                await source.look()
            server.start()
            while True:
                await changes(source)
                try:
                    assert await source.look() == before
                    break
                except SourceError:
                    pass
        await etcd.close()


async def test_an_etcd_that_was_never_there_is_said_at_once() -> None:
    etcd = Etcd(Access(("http://127.0.0.1:9",)))
    async with following(etcd, "/lbproxy/eu/pools/p/connectors/") as source:
        with pytest.raises(SourceError, match=r"etcd http://127\.0\.0\.1:9: "):
            await source.look()
    await etcd.close()


async def test_a_watch_that_stands_again_in_time_is_no_failure(tmp_path: Path) -> None:
    with node(tmp_path) as server:
        etcd, prefix = Etcd(Access((server.url,))), registry.connectors("eu", "p")
        async with following(etcd, prefix, grace=FOREVER) as source:
            await source.look()
            server.kill()
            server.start()
            await etcd.put(f"{prefix}c1", connector("c1"), within=20, repeatable=True)
            while not (await source.look()).members:
                await changes(source)
        await etcd.close()


async def test_history_that_was_compacted_is_no_failure(tmp_path: Path) -> None:
    with node(tmp_path) as server:
        etcd, prefix = Etcd(Access((server.url,))), registry.connectors("eu", "p")
        async with following(etcd, prefix) as source:
            await source.look()
            server.stop()
            await changes(source)
            server.start()
            # The watch resumes when its pause is over: until then, this is history that it needs.
            await etcd.put(f"{prefix}c1", connector("c1"), within=20, repeatable=True)
            last = await etcd.put(f"{prefix}c2", connector("c2"))
            server.ctl("compaction", str(last))
            while True:
                await changes(source)
                try:
                    answer = await source.look()
                except SourceError:
                    continue
                if len(answer.members) == 2:
                    break
        await etcd.close()
