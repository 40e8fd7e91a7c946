from __future__ import annotations

from pathlib import Path

from lbproxy.control.etcd import Access, Etcd
from tests.etcd_server import node
from tests.patience import within


async def test_a_key_outlives_its_ttl_while_the_lease_is_kept(etcd: Etcd, prefix: str) -> None:
    lease = await etcd.hold(2)
    await etcd.put(f"{prefix}a", b"", lease.id)
    other, _ = await etcd.grant(2)
    await etcd.put(f"{prefix}b", b"", other)
    async with etcd.mirror(prefix) as mirror:
        async with within("the lease that nobody keeps ends"):
            while f"{prefix}b" in (view := await mirror.next()).values:
                pass
        assert f"{prefix}a" in view.values, "granted before the one that has ended"
        assert not lease.lost.is_set()
        await lease.revoke()
        assert (await mirror.next()).values == {}


async def test_one_that_etcd_does_not_have_any_more_is_lost(etcd: Etcd) -> None:
    lease = await etcd.hold(2)
    await etcd.revoke(lease.id)
    await lease.lost.wait()
    await lease.revoke()
    assert repr(lease) == f"<lease {lease.id:x} of 2 s, lost>"


async def test_one_that_cannot_be_renewed_is_lost(tmp_path: Path) -> None:
    with node(tmp_path) as one:
        etcd = Etcd(Access((one.url,)))
        lease = await etcd.hold(2)
        one.kill()
        await lease.lost.wait()
        await lease.abandon()
        await etcd.close()


async def test_it_is_kept_over_a_restart(tmp_path: Path) -> None:
    with node(tmp_path) as one:
        etcd = Etcd(Access((one.url,)))
        lease = await etcd.hold(30)
        await etcd.put("/a", b"", lease.id)
        one.kill()
        one.start()
        assert await etcd.keep_alive(lease.id) == 30
        await lease.revoke()
        assert await etcd.get("/a") is None
        await etcd.close()
