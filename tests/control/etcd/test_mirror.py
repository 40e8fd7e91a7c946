from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lbproxy.control.etcd import Access, Etcd, EtcdError, ReplacedError, View
from tests.etcd_server import Node, node, started
from tests.patience import within


def contents(view: View) -> dict[str, bytes]:
    return {key.rpartition("/")[2]: one.value for key, one in view.values.items()}


@contextmanager
def at_the_same_address(folder: Path, other: Node) -> Iterator[Node]:
    """A node with no data, where `other` was."""
    made = Node(folder, "n0", other.url.removeprefix("http://"), ["--initial-cluster-token=another"])
    with started([made]):
        yield made


async def test_it_is_what_the_prefix_is(etcd: Etcd, prefix: str) -> None:
    await etcd.put(f"{prefix}a", b"1")
    async with etcd.mirror(prefix) as mirror:
        assert contents(await mirror.next()) == {"a": b"1"}
        await etcd.put(f"{prefix}b", b"2")
        assert contents(await mirror.next()) == {"a": b"1", "b": b"2"}
        last = await etcd.delete(f"{prefix}a")
        view = await mirror.next()
    assert (contents(view), view.revision) == ({"b": b"2"}, last)


async def test_an_empty_prefix_is_a_view_too(etcd: Etcd, prefix: str) -> None:
    async with etcd.mirror(prefix) as mirror:
        assert (await mirror.next()).values == {}


async def test_over_a_restart_it_tells_of_the_break_and_of_its_end(tmp_path: Path) -> None:
    failures: asyncio.Queue[EtcdError] = asyncio.Queue()
    with node(tmp_path) as one:
        etcd = Etcd(Access((one.url,)))
        await etcd.put("/a/1", b"")
        async with etcd.mirror("/a/", failures.put_nowait) as mirror:
            await mirror.next()
            waits = asyncio.create_task(mirror.next())
            one.kill()
            await failures.get()
            assert not waits.done()
            one.start()
            assert contents(await waits) == {"1": b""}, "nothing has changed, and it is known again"
        await etcd.close()


async def test_after_a_compaction_it_lists_again(tmp_path: Path) -> None:
    failures: asyncio.Queue[EtcdError] = asyncio.Queue()
    with node(tmp_path) as one:
        etcd = Etcd(Access((one.url,)))
        await etcd.put("/a/1", b"")
        async with etcd.mirror("/a/", failures.put_nowait) as mirror:
            await mirror.next()
            await mirror.close()  # as if it had been away for longer than history is kept
            await etcd.delete("/a/1")
            await etcd.put("/a/2", b"")
            one.ctl("compaction", "4")
            mirror._watch = etcd.watch("/a/", 2)
            async with within("all is listed anew"):
                while contents(view := await mirror.next()) != {"2": b""}:
                    pass
        await etcd.close()
    assert view.revision == 4
    assert "was compacted" in str(failures.get_nowait())


async def test_it_waits_for_an_etcd_that_is_not_there_yet(tmp_path: Path) -> None:
    failures: asyncio.Queue[EtcdError] = asyncio.Queue()
    with node(tmp_path) as one:
        one.kill()
        etcd = Etcd(Access((one.url,)))
        async with etcd.mirror("/a/", failures.put_nowait) as mirror:
            waits = asyncio.create_task(mirror.next())
            await failures.get()
            one.start()
            assert (await waits).values == {}
        await etcd.close()


async def test_another_store_is_listed_anew(tmp_path: Path) -> None:
    """Its data was lost, and somebody has written to it so much that its revision is a higher one."""
    failures: asyncio.Queue[EtcdError] = asyncio.Queue()
    (tmp_path / "before").mkdir()
    (tmp_path / "after").mkdir()
    with node(tmp_path / "before") as one:
        etcd = Etcd(Access((one.url,)))
        await etcd.put("/a/old", b"")
        async with etcd.mirror("/a/", failures.put_nowait) as mirror:
            before = await mirror.next()
            waits = asyncio.create_task(mirror.next())
            one.kill()
            await failures.get()
            with at_the_same_address(tmp_path / "after", one) as another:
                for _ in range(10):
                    another.ctl("put", "/a/new", "x")
                async with within("all is listed anew"):
                    while not (view := await waits).listed:
                        waits = asyncio.create_task(mirror.next())
        await etcd.close()
    assert [*view.values] == ["/a/new"]
    assert view.revision > before.revision
    assert view.cluster != before.cluster


@pytest.mark.parametrize(("cluster", "revision"), [("", 90), ("another", 1)])
async def test_a_store_is_told_by_its_revision_and_by_its_cluster(
    etcd: Etcd, prefix: str, cluster: str, revision: int
) -> None:
    at = (await etcd.list(prefix)).revision
    start = at + revision if not cluster else at + 1
    async with etcd.watch(prefix, start, lambda _: None, cluster) as watch:
        with pytest.raises(ReplacedError, match="another store than before"):
            await watch.next()
