"""WebSocket upgrades become tunnels after the backend's 101 and not before; nothing else does."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from .backend import Lane, answer
from .client import request
from .conftest import Play

WEBSOCKET = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


async def echoes(lane: Lane) -> None:
    """Upgrades, then sends back what comes until the other end half-closes."""
    seen = await lane.request()
    assert seen is not None
    assert (seen.tokens("upgrade"), seen.tokens("connection")) == ([b"websocket"], [b"upgrade"])
    assert seen.get("sec-websocket-key") == b"dGhlIHNhbXBsZSBub25jZQ=="
    await lane.send(SWITCHED + b"hello")
    while piece := await lane.reader.read(65536):
        await lane.send(piece)
    lane.half_close()
    await lane.until_closed()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_tunnel_carries_both_ways(play: Play, tls: bool) -> None:
    balancer, _ = await play(echoes, tls=tls)
    async with await balancer.connect() as client:
        await client.send(request("/ws", "GET", *WEBSOCKET))
        response = await client.head()
        assert response.status == 101
        assert (response.tokens("upgrade"), response.tokens("connection")) == ([b"websocket"], [b"upgrade"])
        assert response.get("sec-websocket-accept") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        assert await client.read(5) == b"hello"
        for size in (1, 100, 300_000):
            sending = asyncio.ensure_future(client.send(b"x" * size))
            assert await client.read(size) == b"x" * size
            await sending
    [record] = await balancer.accessed(target="/ws")
    assert (record["status"], record["reason"]) == (101, "tunnel_done")


async def test_half_closing_goes_through_a_tunnel(play: Play) -> None:
    balancer, _ = await play(echoes)
    async with await balancer.connect() as client:
        await client.send(request("/ws", "GET", *WEBSOCKET))
        assert (await client.head()).status == 101
        await client.send(b"last words")
        client.half_close()
        assert await client.rest() == b"hellolast words"


async def test_a_tunnel_ends_when_its_backend_does(play: Play) -> None:
    async def leaves(lane: Lane) -> None:
        await lane.request()
        await lane.send(SWITCHED + b"bye")

    balancer, _ = await play(leaves)
    async with await balancer.connect() as client:
        await client.send(request("/ws", "GET", *WEBSOCKET))
        assert (await client.head()).status == 101
        assert await client.rest() == b"bye"


async def test_a_tunnel_ends_when_its_client_resets(play: Play) -> None:
    balancer, backend = await play(echoes)
    async with await balancer.connect() as client:
        await client.send(request("/ws", "GET", *WEBSOCKET))
        assert (await client.head()).status == 101
        client.reset()
    await backend.until_ended(1)


async def test_bytes_sent_before_the_101_reach_the_tunnel(play: Play) -> None:
    balancer, _ = await play(echoes)
    async with await balancer.connect() as client:
        await client.send(request("/ws", "GET", *WEBSOCKET) + b"early")
        assert (await client.head()).status == 101
        assert await client.read(10) == b"helloearly"


async def test_bytes_sent_before_a_refusal_are_the_next_request(play: Play) -> None:
    """A client that guesses that the upgrade will be granted must not reach the backend unparsed (h2c smuggling)."""

    async def refuses(lane: Lane) -> None:
        while await lane.request():
            await lane.send(answer(b"no", status="403 Forbidden"))

    balancer, backend = await play(refuses)
    async with await balancer.connect() as client:
        await client.send(request("/ws", "GET", *WEBSOCKET) + request("/test-headers") + request("/next"))
        assert [(await client.response()).status for _ in range(3)] == [403, 404, 403]
    assert [seen.target for seen in backend.requests] == [b"/ws", b"/next"]


async def test_a_refused_upgrade_leaves_an_ordinary_connection(play: Play) -> None:
    balancer, _ = await play()
    async with await balancer.connect() as client:
        for _ in range(2):
            response = await client.ask("/ws", "GET", *WEBSOCKET)
            assert (response.status, response.body) == (200, b"c1")


@pytest.mark.parametrize(
    "lines",
    [
        ("Connection: Upgrade", "Upgrade: h2c"),
        ("Connection: Upgrade", "Upgrade: h2c, websocket"),
        ("Connection: Upgrade", "Upgrade: TLS/1.2"),
        ("Upgrade: websocket",),
        ("Connection: Upgrade",),
    ],
)
async def test_other_upgrades_are_not_offered_on(play: Play, lines: tuple[str, ...]) -> None:
    balancer, backend = await play()
    assert (await balancer.ask("/", "GET", *lines)).status == 200
    [seen] = backend.requests
    assert seen.all("upgrade") == []
    assert b"upgrade" not in seen.tokens("connection")


async def test_http_1_0_cannot_upgrade(play: Play) -> None:
    """RFC 9110 section 7.8: Upgrade in an HTTP/1.0 request is ignored."""
    balancer, backend = await play()
    async with await balancer.connect() as client:
        await client.send(request("/", "GET", *WEBSOCKET, version="HTTP/1.0"))
        assert (await client.response()).status == 200
    assert backend.requests[0].all("upgrade") == []


@pytest.mark.parametrize(
    "line", ["CONNECT login.test:443 HTTP/1.1", "CONNECT / HTTP/1.1", "TRACE / HTTP/1.1", "connect a:1 HTTP/1.1"]
)
async def test_connect_and_trace_are_refused(play: Play, line: str) -> None:
    balancer, backend = await play()
    async with await balancer.connect() as client:
        await client.send(f"{line}\r\nHost: login.test\r\n\r\n".encode())
        assert (await client.response()).status == 405
        await client.closed()
    assert not backend.lanes


async def test_a_tunnel_waits_for_its_slow_end(play: Play) -> None:
    """Backpressure: what the client does not read stays with the backend, and all of it arrives."""
    block, count = hashlib.sha256(b"block").digest() * 2048, 1000
    sent = 0

    async def pours(lane: Lane) -> None:
        nonlocal sent
        await lane.request()
        await lane.send(SWITCHED)
        for _ in range(count):
            await lane.send(block)
            sent += len(block)

    balancer, _ = await play(pours)
    async with await balancer.connect(receive_buffer=65536, limit=65536) as client:
        await client.send(request("/ws", "GET", *WEBSOCKET))
        assert (await client.head()).status == 101
        balancer.forget_peak()
        before = balancer.memory()
        async with await balancer.connect() as other:
            for _ in range(300):
                assert (await other.ask("/test-headers")).status == 404
        assert sent < len(block) * count
        received = await client.rest()
        assert len(received) == len(block) * count
        assert balancer.memory("VmHWM") - before < 4 << 20
