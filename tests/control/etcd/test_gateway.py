"""Endpoints that fail in one way each, TLS, and tokens; all of them are real."""

from __future__ import annotations

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lbproxy.control.etcd import Access, Etcd, EtcdRefusedError, EtcdUnavailableError
from lbproxy.control.etcd.gateway import ATTEMPT
from tests.control.probes.backends import answering, listening
from tests.etcd_server import Certificates, cluster, node

PASSWORD = "correct horse"


@asynccontextmanager
async def connected(access: Access) -> AsyncIterator[Etcd]:
    etcd = Etcd(access)
    try:
        yield etcd
    finally:
        await etcd.close()


async def _hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_an_endpoint_that_refuses_connections_is_passed_over(etcd_url: str, prefix: str) -> None:
    async with connected(Access(("http://127.0.0.1:1", etcd_url))) as etcd:
        await etcd.put(f"{prefix}a", b"")  # not repeatable, but nobody can have received it
        assert repr(etcd) == f"<etcd at {etcd_url}>", "it is asked first from now on"


async def test_an_endpoint_that_says_nothing_is_passed_over(etcd_url: str, prefix: str) -> None:
    async with listening(_hang) as port, connected(Access((f"http://127.0.0.1:{port}", etcd_url))) as etcd:
        assert (await etcd.list(prefix)).values == ()


async def test_an_endpoint_that_says_nothing_leaves_time_for_the_others(etcd_url: str, prefix: str) -> None:
    """As does a host that has died: it closes no connection. The call has less time than one attempt at most."""
    async with listening(_hang) as port, connected(Access((f"http://127.0.0.1:{port}", etcd_url))) as etcd:
        assert (await etcd.list(prefix, within=ATTEMPT)).values == ()


async def test_what_may_have_been_done_is_not_sent_again(etcd_url: str, prefix: str) -> None:
    async with listening(_hang) as port, connected(Access((f"http://127.0.0.1:{port}", etcd_url))) as etcd:
        with pytest.raises(EtcdUnavailableError, match=r"no answer within 0.1 s") as caught:
            await etcd.put(f"{prefix}a", b"", within=0.1)
        assert caught.value.maybe_done
        assert await etcd.get(f"{prefix}a") is None


async def test_no_endpoint_at_all() -> None:
    async with connected(Access(("http://127.0.0.1:1",))) as etcd:
        with pytest.raises(EtcdUnavailableError, match=r"etcd http://127.0.0.1:1: connection refused") as caught:
            await etcd.put("a", b"", within=0.3)
    assert not caught.value.maybe_done


async def test_something_else_that_answers(prefix: str) -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with listening(answering(answer)) as port, connected(Access((f"http://127.0.0.1:{port}",))) as etcd:
        with pytest.raises(EtcdUnavailableError, match="it answers 302, not as etcd does"):
            await etcd.list(prefix, within=0.05)


async def test_a_frozen_member_and_a_killed_leader(tmp_path: Path) -> None:
    """Reads and claims go on; a call takes as long as an election at most."""
    with cluster(tmp_path, 3) as nodes:
        async with connected(Access(tuple(each.url for each in nodes))) as etcd:
            await etcd.put("/a", b"1")
            [leader] = [each for each in nodes if each.leads]
            leader.kill()
            await etcd.put("/a", b"2", repeatable=True, within=20)
            found = await etcd.get("/a", within=20)
            assert found is not None
            assert found.value == b"2"
            leader.start()
            nodes[0].send(signal.SIGSTOP)
            await etcd.put("/a", b"3", repeatable=True, within=20)
            nodes[0].send(signal.SIGCONT)


async def test_without_a_majority_it_says_so_and_comes_back(tmp_path: Path) -> None:
    with cluster(tmp_path, 3) as nodes:
        async with connected(Access((nodes[0].url,))) as etcd:
            await etcd.put("/a", b"1")
            for each in nodes[1:]:
                each.kill()
            with pytest.raises(EtcdUnavailableError, match=nodes[0].url):
                await etcd.put("/a", b"2", within=1)
            nodes[1].start()
            await etcd.put("/a", b"3", repeatable=True, within=20)


# --- TLS


def _context(certificates: Certificates, own: bool = True) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates.ca))
    if own:
        context.load_cert_chain(certificates.client.chain, certificates.client.key)
    return context


async def test_tls_with_client_certificates(tmp_path: Path, prefix: str) -> None:
    certificates = Certificates(tmp_path)
    with node(tmp_path, certificates.options) as one:
        async with connected(Access((one.url,), _context(certificates))) as etcd:
            await etcd.put(f"{prefix}a", b"1")
            async with etcd.watch(prefix, 2) as watch:
                await watch.next()
                assert [event.key for event in (await watch.next()).events] == [f"{prefix}a"]
        async with connected(Access((one.url,), _context(certificates, own=False))) as etcd:
            with pytest.raises(EtcdUnavailableError):
                await etcd.list(prefix, within=0.3)
        async with connected(Access((one.url,), ssl.create_default_context())) as etcd:
            with pytest.raises(EtcdUnavailableError, match="certificate refused: "):
                await etcd.list(prefix, within=0.3)


# --- users and passwords


async def test_users_and_passwords(tmp_path: Path) -> None:
    with node(tmp_path, ["--auth-token-ttl=1"]) as one:
        one.demand_passwords(PASSWORD)
        access = Access((one.url,), user="lbproxy", password=PASSWORD)
        async with connected(access) as etcd:
            await etcd.put("/lbproxy/a", b"1")
            with pytest.raises(EtcdRefusedError, match="permission denied"):
                await etcd.put("/else", b"1")
            one.kill()  # the tokens of this kind are in its memory
            one.start()
            assert len((await etcd.list("/lbproxy/")).values) == 1, "signed in again"
            async with etcd.watch("/lbproxy/", 2) as watch:
                await watch.next()
                assert [event.key for event in (await watch.next()).events] == ["/lbproxy/a"]
        async with connected(Access((one.url,))) as etcd:
            with pytest.raises(EtcdRefusedError, match="user name is empty"):
                await etcd.list("/lbproxy/")


async def test_a_wrong_password_is_said_and_is_in_no_error(tmp_path: Path) -> None:
    with node(tmp_path) as one:
        one.demand_passwords(PASSWORD)
        access = Access((one.url,), user="lbproxy", password="wrong horse")
        async with connected(access) as etcd:
            with pytest.raises(EtcdRefusedError, match="invalid user ID or password") as caught:
                await etcd.list("/lbproxy/")
            assert "horse" not in f"{caught.value!r} {caught.value} {access!r} {etcd!r}"


async def test_a_user_where_etcd_has_none(etcd_url: str) -> None:
    async with connected(Access((etcd_url,), user="lbproxy", password=PASSWORD)) as etcd:
        with pytest.raises(EtcdRefusedError, match="authentication is not enabled"):
            await etcd.list("/lbproxy/")
