"""Which requests are this listener's: 421 for another Host, 404 for deny_paths in every spelling."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from .client import request
from .peers import Peers, one_backend

DENIED = [
    "/test-headers",
    "/test-headers/",
    "/test-headers?x=1",
    "/test-headers/sub",
    "/TEST-Headers",
    "/%74est-headers",
    "/%54est%2dheaders",
    "/test-headers%2F",
    "//test-headers",
    "///test-headers",
    "/./test-headers",
    "/%2e/test-headers",
    "/x/../test-headers",
    "/x/%2e%2e/test-headers",
    "/x/.%2E/test-headers",
    "/../test-headers",
    "/x/..//test-headers",
    "/x%2f..%2ftest-headers",
    "/%2ftest-headers",
    "/test-iis",
    "http://login.test/test-headers",
    "http://LOGIN.test/x/../%74est-headers",
]
SERVED = ["/", "/test-headersX", "/test", "/x/test-headers", "/?/test-headers", "/test-headers.html", "/wsfed/direct"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared() -> AsyncIterator[Peers]:
    async with one_backend() as peers:
        yield peers


@pytest.fixture
def peers(shared: Peers) -> Peers:
    shared.balancer.forget()  # the kernel gives a client's port, by which records are found, out again
    return shared


@pytest.mark.parametrize(
    "host", ["other.test", "login.test.evil.test", "xlogin.test", "127.0.0.1", "login.test.", "[::1]"]
)
async def test_another_host_is_misdirected(peers: Peers, host: str) -> None:
    """RFC 9110 section 15.5.20: 421 is for requests that came to the wrong place."""
    seen = len(peers.backend.requests)
    async with await peers.balancer.connect() as client:
        await client.send(request(host=host))
        assert (await client.response()).status == 421
        [record] = await peers.balancer.accessed(client=client.name)
    assert (record["status"], record["reason"], record["host"], record["backend"]) == (421, "misdirected", host, "")
    assert len(peers.backend.requests) == seen


async def test_a_misdirected_body_is_not_taken_for_a_request(peers: Peers) -> None:
    async with await peers.balancer.connect() as client:
        await client.send(request("/", "POST", body=request("/smuggled"), host="other.test"))
        assert (await client.response("POST")).status == 421
        with contextlib.suppress(ConnectionError):
            await client.send(request("/after"))
            client.half_close()
            await client.rest()
    assert b"/smuggled" not in [seen.target for seen in peers.backend.requests]


async def test_hosts_names_what_is_served() -> None:
    async with one_backend(listener={"hosts": ["a.test", "b.test"]}) as peers, await peers.balancer.connect() as client:
        for host, status in (("a.test", 200), ("B.TEST:99", 200), ("login.test", 421)):
            await client.send(request(host=host))
            assert (await client.response()).status == status, host


async def test_a_star_serves_any_host() -> None:
    async with one_backend(listener={"hosts": ["*"]}) as peers, await peers.balancer.connect() as client:
        for host in ("x.test", "127.0.0.1", "[::1]:80"):
            await client.send(request(host=host))
            assert (await client.response()).status == 200
        assert [seen.get("host") for seen in peers.backend.requests] == [b"x.test", b"127.0.0.1", b"[::1]:80"]


@pytest.mark.parametrize("target", DENIED)
async def test_denied_in_every_spelling(peers: Peers, target: str) -> None:
    seen = len(peers.backend.requests)
    async with await peers.balancer.connect() as client:
        assert (await client.ask(target)).status == 404
        [record] = await peers.balancer.accessed(client=client.name)
    assert (record["reason"], record["status"]) == ("denied_path", 404)
    assert len(peers.backend.requests) == seen


@pytest.mark.parametrize("target", SERVED)
async def test_other_paths_are_served(peers: Peers, target: str) -> None:
    assert (await peers.balancer.ask(target)).status == 200
    assert peers.backend.requests[-1].target == target.encode()


async def test_the_absolute_form_is_sent_on_in_origin_form(peers: Peers) -> None:
    """RFC 9112 section 3.2.2; a Host that names something else is refused (see test_bad_requests)."""
    assert (await peers.balancer.ask("http://login.test/a?b=c")).status == 200
    seen = peers.backend.requests[-1]
    assert (seen.target, seen.get("host")) == (b"/a?b=c", b"login.test")
