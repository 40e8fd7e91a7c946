"""Requests and answers pass through: connections, versions, pipelining, order."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.ports import free_port

from .backend import Lane, answer, serve
from .balancer import running
from .client import HOST, Client, request
from .configuration import configuration
from .conftest import Backends, Balance, Play, Share
from .tls import Authority


async def echo_target(lane: Lane) -> None:
    """Answers every request with its own target."""
    while seen := await lane.request():
        await lane.send(answer(seen.target))


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_request_and_its_answer_pass(play: Play, tls: bool) -> None:
    balancer, backend = await play(tls=tls)
    response = await balancer.ask("/wsfed?wa=wsignin1.0&x=%2F%zz", "GET", "Accept: */*")
    assert (response.status, response.body) == (200, b"c1")
    [seen] = backend.requests
    assert (seen.method, seen.target) == (b"GET", b"/wsfed?wa=wsignin1.0&x=%2F%zz")
    assert seen.get("host") == HOST.encode()
    assert seen.get("accept") == b"*/*"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"])
async def test_methods_pass(play: Play, method: str) -> None:
    balancer, backend = await play()
    assert (await balancer.ask("/", method)).status == 200
    assert backend.requests[0].method == method.encode()


async def test_options_of_the_whole_server_passes(play: Play) -> None:
    balancer, backend = await play()
    assert (await balancer.ask("*", "OPTIONS")).status == 200
    assert backend.requests[0].target == b"*"


async def test_a_kept_connection_serves_many_requests(play: Play) -> None:
    balancer, backend = await play(echo_target)
    async with await balancer.connect() as client:
        for number in range(20):
            assert (await client.ask(f"/{number}")).body == f"/{number}".encode()
    assert len(backend.lanes) == 1


async def test_connection_close_is_honoured(play: Play) -> None:
    balancer, _ = await play()
    async with await balancer.connect() as client:
        response = await client.ask("/", "GET", "Connection: close")
        assert response.closes
        await client.closed()


async def test_http_1_0_closes_after_the_answer(play: Play) -> None:
    balancer, _ = await play()
    async with await balancer.connect() as client:
        await client.send(request(version="HTTP/1.0"))
        response = await client.response()
        assert (response.status, response.body, response.closes) == (200, b"c1", True)
        await client.closed()


async def test_http_1_0_keeps_alive_when_asked(play: Play) -> None:
    balancer, _ = await play()
    async with await balancer.connect() as client:
        for _ in range(3):
            await client.send(request("/", "GET", "Connection: keep-alive", version="HTTP/1.0"))
            response = await client.response()
            assert (response.status, response.body) == (200, b"c1")
            assert b"keep-alive" in response.tokens("connection")


async def test_the_backend_closing_its_lane_does_not_close_the_client(play: Play) -> None:
    async def one_each(lane: Lane) -> None:
        await lane.request()
        await lane.send(answer(b"once", "Connection: close"))

    balancer, backend = await play(one_each)
    async with await balancer.connect() as client:
        for _ in range(5):
            response = await client.ask()
            assert (response.body, response.closes) == (b"once", False)
    assert [len(lane.requests) for lane in backend.lanes] == [1] * 5


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_pipelined_requests_are_answered_in_order(share: Share, tls: bool) -> None:
    balancer, _ = await share(echo_target, echo_target, echo_target, tls=tls)
    async with await balancer.connect() as client:
        await client.send(b"".join(request(f"/{number}") for number in range(50)))
        for number in range(50):
            assert (await client.response()).body == f"/{number}".encode()


async def test_a_slow_first_answer_keeps_its_place(share: Share) -> None:
    release = asyncio.Event()

    async def slow(lane: Lane) -> None:
        while seen := await lane.request():
            if seen.target == b"/slow":
                await release.wait()
            await lane.send(answer(seen.target))

    balancer, [first, second] = await share(slow, slow)
    async with await balancer.connect() as client:
        await client.send(request("/slow") + request("/quick") + request("/last"))
        await first.until(lambda: first.requests)
        async with await balancer.connect() as other:
            assert (await other.ask("/other")).body == b"/other"
        release.set()
        assert [(await client.response()).body for _ in range(3)] == [b"/slow", b"/quick", b"/last"]
        await second.until(lambda: second.requests)


async def test_a_request_after_a_body_in_the_same_write(play: Play) -> None:
    balancer, backend = await play(echo_target)
    async with await balancer.connect() as client:
        await client.send(request("/1", "POST", body=b"GET /no HTTP/1.1\r\n\r\n") + request("/2"))
        assert [(await client.response()).body for _ in range(2)] == [b"/1", b"/2"]
    assert backend.requests[0].body == b"GET /no HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_request_cut_anywhere_means_the_same(play: Play, tls: bool) -> None:
    balancer, backend = await play(tls=tls)
    whole = request("/cut", "POST", "Accept: */*", "Connection: keep-alive", body=b"12345")
    async with await balancer.connect() as client:
        for offset in range(1, len(whole)):
            await client.send(whole[:offset], whole[offset:])
            assert (await client.response()).body == b"c1"
        await client.send(*(whole[at : at + 1] for at in range(len(whole))))
        assert (await client.response()).body == b"c1"
    assert len({re.sub(rb"\r\nX-Request-ID: [0-9a-f]{32}\r\n", b"", seen.raw) for seen in backend.requests}) == 1
    assert {seen.body for seen in backend.requests} == {b"12345"}


async def test_an_answer_cut_anywhere_means_the_same(play: Play) -> None:
    whole = answer(b"hello", "Content-Type: text/plain", "Set-Cookie: a=b")
    offsets = iter(range(1, len(whole)))

    async def cut(lane: Lane) -> None:
        while await lane.request():
            offset = next(offsets)
            await lane.send(whole[:offset], whole[offset:])

    balancer, _ = await play(cut)
    async with await balancer.connect() as client:
        seen = {(await client.ask()).raw for _ in range(1, len(whole))}
    assert len(seen) == 1


async def test_a_listener_may_be_ipv6(backends: Backends, balance: Balance) -> None:
    [backend] = await backends()
    balancer = await balance(backend, listener={"bind": f"[::1]:{free_port()}"})
    assert (await balancer.ask()).status == 200
    assert backend.requests[0].get("x-forwarded-for") == b"::1"


async def test_a_listener_may_be_a_unix_socket(backends: Backends, balance: Balance, directory: Path) -> None:
    balancer = await balance(*await backends(), listener={"bind": f"unix:{directory}/login.sock"})
    async with Client(*await asyncio.open_unix_connection(directory / "login.sock")) as client:
        for _ in range(2):
            assert (await client.ask()).body == b"c1"
    await balancer.stop()


async def test_listeners_have_pools_of_their_own(backends: Backends, directory: Path) -> None:
    first, second = await backends(serve, serve)
    config = configuration(directory, [(first.name, first.url)])
    other = {**config["listener"]["login"], "bind": f"127.0.0.1:{free_port()}", "pool": "others"}
    config["listener"]["other"] = other
    config["pool"]["others"] = {**config["pool"]["connectors"], "backends": [{"name": "c2", "url": second.url}]}
    async with running(config, directory) as balancer:
        assert [(await balancer.ask()).body for _ in range(2)] == [b"c1"] * 2
        host, _, port = other["bind"].partition(":")
        async with await Client.connect((host, int(port))) as client:
            assert [(await client.ask()).body for _ in range(2)] == [b"c2"] * 2


async def test_https_backends_are_verified_and_used(
    backends: Backends, balance: Balance, authority: Authority, directory: Path
) -> None:
    [backend] = await backends(serve, tls=authority.server_context("connector.test"))
    tls = {"ca": str(authority.write_ca(directory / "ca.pem")), "server_name": "connector.test"}
    balancer = await balance(backend, pool={"tls": tls})
    async with await balancer.connect() as client:
        assert [(await client.ask()).body for _ in range(3)] == [b"c1"] * 3
    assert len(backend.lanes) == 1
