"""Against a real etcd, which all tests here share."""

from __future__ import annotations

import pytest

from lbproxy.control.etcd import Access, Etcd, EtcdRefusedError, EtcdUnavailableError, values
from tests.control.probes.backends import answering, listening


async def test_what_is_put_is_there_until_it_is_deleted(etcd: Etcd, prefix: str) -> None:
    assert await etcd.get(f"{prefix}a") is None
    revision = await etcd.put(f"{prefix}a", b"1")
    found = await etcd.get(f"{prefix}a")
    assert found is not None
    assert found == (f"{prefix}a", b"1", revision, revision, 0)
    assert await etcd.delete(f"{prefix}a") == revision + 1
    assert await etcd.get(f"{prefix}a") is None


async def test_a_listing_has_what_begins_with_the_prefix(etcd: Etcd, prefix: str) -> None:
    for name in ("b", "a"):
        await etcd.put(prefix + name, name.encode())
    last = await etcd.put(f"{prefix[:-1]}0", b"after it")
    found = await etcd.list(prefix)
    assert [(one.key, one.value) for one in found.values] == [(f"{prefix}a", b"a"), (f"{prefix}b", b"b")]
    assert found.revision == last


async def test_bytes_that_are_no_text_survive(etcd: Etcd, prefix: str) -> None:
    key = f"{prefix}\udcff"
    await etcd.put(key, bytes(range(256)))
    found = await etcd.get(key)
    assert found is not None
    assert (found.key, found.value) == (key, bytes(range(256)))


async def test_one_of_two_claims_succeeds_and_the_other_sees_whose_it_is(etcd: Etcd, prefix: str) -> None:
    key = f"{prefix}name"
    first = await etcd.txn([values.unchanged(key, 0)], [values.put(key, b"first")], [values.read(key)])
    second = await etcd.txn([values.unchanged(key, 0)], [values.put(key, b"second")], [values.read(key)])
    assert (first.succeeded, second.succeeded) == (True, False)
    [listing] = second.listings
    assert [one.value for one in listing.values] == [b"first"]


async def test_only_what_was_not_changed_meanwhile_is_deleted(etcd: Etcd, prefix: str) -> None:
    key = f"{prefix}name"
    revision = await etcd.put(key, b"mine")
    await etcd.put(key, b"another's")
    assert not (await etcd.txn([values.unchanged(key, revision)], [values.delete(key)])).succeeded
    assert await etcd.get(key) is not None


async def test_a_lease_that_is_revoked_takes_its_keys_with_it(etcd: Etcd, prefix: str) -> None:
    lease, ttl = await etcd.grant(60)
    await etcd.put(f"{prefix}a", b"", lease)
    assert ttl == 60
    assert 0 < await etcd.keep_alive(lease) <= 60
    await etcd.revoke(lease)
    assert await etcd.get(f"{prefix}a") is None
    assert await etcd.keep_alive(lease) == 0


async def test_what_etcd_refuses_is_said_with_its_code(etcd: Etcd, prefix: str, etcd_url: str) -> None:
    with pytest.raises(EtcdRefusedError) as caught:
        await etcd.put(f"{prefix}a", b"", lease=12345)
    assert str(caught.value) == f"etcd {etcd_url}: requested lease not found"
    assert caught.value.code == 5


NOT_ETCDS = (
    b"<html>",
    b"[]",
    b'{"kvs": [7]}',
    b'{"kvs": [{"key": "!"}]}',
    b'{"kvs": 3}',
    b'{"header": {"revision": "x"}}',
)


@pytest.mark.parametrize("body", NOT_ETCDS)
async def test_an_answer_that_is_not_etcds(body: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with listening(answering(answer)) as port:
        etcd = Etcd(Access((f"http://127.0.0.1:{port}",)))
        with pytest.raises(EtcdUnavailableError, match="it does not answer as etcd does"):
            await etcd.list("/a/", within=0.05)
        await etcd.close()
