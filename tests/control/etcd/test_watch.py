from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from lbproxy.control.etcd import Access, CompactedError, Etcd, EtcdError
from lbproxy.control.etcd.gateway import Gateway
from lbproxy.control.etcd.watch import Watch
from tests.etcd_server import cluster, node
from tests.patience import within


async def test_changes_come_in_their_order(etcd: Etcd, prefix: str) -> None:
    start = await etcd.put(f"{prefix}a", b"1")
    async with etcd.watch(prefix, start) as watch:
        assert await watch.next() == ((), start - 1)
        await etcd.put(f"{prefix}a", b"2")
        await etcd.put(f"{prefix[:-1]}0", b"not below it")
        last = await etcd.delete(f"{prefix}a")
        seen: list[tuple[str, bytes | None]] = []
        while len(seen) < 3:
            async with within("there are more changes"):
                events, revision = await watch.next()
            seen += [(event.key, event.value.value if event.value else None) for event in events]
    assert seen == [(f"{prefix}a", b"1"), (f"{prefix}a", b"2"), (f"{prefix}a", None)]
    assert revision == last


async def test_a_cancelled_wait_loses_nothing(etcd: Etcd, prefix: str) -> None:
    start = (await etcd.list(prefix)).revision
    async with etcd.watch(prefix, start + 1) as watch:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watch.next(), 0)
        await watch.next()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watch.next(), 0)
        await etcd.put(f"{prefix}a", b"1")
        assert [event.key for event in (await watch.next()).events] == [f"{prefix}a"]


async def test_a_quiet_watch_goes_on(etcd_url: str, etcd: Etcd, prefix: str) -> None:
    failures: asyncio.Queue[EtcdError] = asyncio.Queue()
    gateway = Gateway(Access((etcd_url,)))
    start = (await etcd.list(prefix)).revision
    async with Watch(gateway, prefix, start + 1, failures.put_nowait, quiet=0.01) as watch:
        await watch.next()
        waits = asyncio.create_task(watch.next())
        for _ in range(20):  # each of these calls takes longer than it has to say something
            await etcd.list(prefix)
        await etcd.put(f"{prefix}a", b"1")
        assert [event.key for event in (await waits).events] == [f"{prefix}a"]
    await gateway.close()
    assert failures.empty()


async def test_it_resumes_after_a_restart(tmp_path: Path) -> None:
    failures: asyncio.Queue[EtcdError] = asyncio.Queue()
    with node(tmp_path) as one:
        etcd = Etcd(Access((one.url,)))
        async with etcd.watch("/a/", 2, failures.put_nowait) as watch:
            assert await watch.next() == ((), 1)
            await etcd.put("/a/1", b"")
            assert (await watch.next()).revision == 2
            waits = asyncio.create_task(watch.next())
            one.kill()
            failure = await failures.get()
            one.start()
            assert await waits == ((), 2), "it stands again"
            await etcd.put("/a/2", b"")
            assert [event.key for event in (await watch.next()).events] == ["/a/2"]
        await etcd.close()
    assert failure.endpoint == one.url


async def test_it_leaves_a_member_that_is_frozen(tmp_path: Path) -> None:
    """It keeps its connections, and says nothing."""
    failures: asyncio.Queue[EtcdError] = asyncio.Queue()
    with cluster(tmp_path, 3) as nodes:
        [follower, *_] = [each for each in nodes if not each.leads]
        others = [each.url for each in nodes if each is not follower]
        gateway, etcd = Gateway(Access((follower.url, *others))), Etcd(Access(tuple(others)))
        async with Watch(gateway, "/a/", 2, failures.put_nowait, quiet=0.1) as watch:
            await watch.next()
            follower.send(signal.SIGSTOP)
            await etcd.put("/a/1", b"", within=20)
            assert (await watch.next()).events == ()
            assert [event.key for event in (await watch.next()).events] == ["/a/1"]
        await gateway.close()
        await etcd.close()
    assert failures.get_nowait().endpoint == follower.url


async def test_history_that_is_gone(tmp_path: Path) -> None:
    with node(tmp_path) as one:
        etcd = Etcd(Access((one.url,)))
        for _ in range(5):
            await etcd.put("/a/1", b"")
        one.ctl("compaction", "5")
        async with etcd.watch("/a/", 2) as watch:
            await watch.next()
            with pytest.raises(CompactedError) as caught:
                await watch.next()
        await etcd.close()
    assert caught.value.revision == 5
