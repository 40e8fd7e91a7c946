"""Clients that stall, reset, leave or speak something else: none of it reaches another connection."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import pytest

from .backend import Lane, answer, serve
from .balancer import Balancer
from .client import Client, chunked, request
from .conftest import Backends, Balance, Play, Share
from .message import Cut
from .reloads import comes_true

WHOLE = request("/cut", "POST", "Transfer-Encoding: chunked") + chunked([b"hello", b"world"], "X-End: yes")


async def settled(balancer: Balancer) -> None:
    """Wait until the balancer has noticed that every client connection is gone."""
    await balancer.until(lambda now: not now["listeners"][0]["connections"])


@pytest.mark.parametrize("part", [b"", b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: login.test\r\nX-A"])
async def test_half_a_head_and_silence(share: Share, part: bytes) -> None:
    """408 after header_timeout; a connection that sent nothing is closed without a word (RFC 9112 section 9.5)."""
    times = {"header_timeout": "300ms"} if part else {"idle_timeout": "300ms"}
    balancer, [backend] = await share(serve, listener=times)
    async with await balancer.connect() as client:
        await client.send(part)
        if part:
            response = await client.response()
            assert (response.status, response.closes) == (408, True)
            await balancer.accessed(client=client.name, reason="header_timeout", status=408)
        else:
            await client.rest()
    assert not backend.lanes


async def test_a_head_one_byte_at_a_time_does_not_stretch_the_timeout(backends: Backends, balance: Balance) -> None:
    """Slowloris: the time runs from the first byte, whatever comes in between."""
    balancer = await balance(*await backends(), listener={"header_timeout": "500ms"})
    async with await balancer.connect() as client:

        async def drip() -> None:
            await client.send(b"GET / HTTP/1.1\r\nHost: login.test\r\n")
            while True:
                await client.send(b"X-A: 1\r\n")
                await asyncio.sleep(0.05)

        dripping = asyncio.ensure_future(drip())
        try:
            assert (await client.response()).status == 408
        finally:
            dripping.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await dripping


async def test_an_idle_connection_is_closed(share: Share) -> None:
    balancer, _ = await share(serve, listener={"idle_timeout": "300ms"})
    async with await balancer.connect() as client:
        assert (await client.ask()).status == 200
        assert await client.rest() == b""


async def test_half_a_body_and_silence(share: Share) -> None:
    balancer, [backend] = await share(serve, listener={"idle_timeout": "300ms"})
    async with await balancer.connect() as client:
        await client.send(request("/", "POST", "Content-Length: 10"), b"12345")
        assert (await client.response()).status == 408
        await client.closed()
        await balancer.accessed(client=client.name, reason="body_timeout")
    assert not backend.complete


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_reset_at_every_byte_of_a_request(play: Play, tls: bool) -> None:
    balancer, backend = await play(tls=tls)
    async with await balancer.connect() as kept:
        assert (await kept.ask()).status == 200
        open_before = balancer.descriptors()
        for offset in range(len(WHOLE)):
            client = await balancer.connect()
            await client.send(WHOLE[:offset])
            client.reset()
            await client.close()
        assert (await kept.ask()).status == 200
    await settled(balancer)
    assert not [seen for seen in backend.complete if seen.method == b"POST"]
    await backend.until(lambda: len(backend.open_lanes) <= 1)
    await comes_true(lambda: balancer.descriptors() <= open_before)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_close_at_every_byte_of_a_request(play: Play, tls: bool) -> None:
    balancer, backend = await play(tls=tls)
    for offset in range(len(WHOLE)):
        async with await balancer.connect() as client:
            await client.send(WHOLE[:offset])
    await settled(balancer)
    assert (await balancer.ask()).status == 200
    assert not [seen for seen in backend.complete if seen.method == b"POST"]


async def test_a_half_close_inside_a_request_is_its_end(play: Play) -> None:
    """No answer is owed to half a request; 400 or 408 is polite. The backend sees no whole one."""
    balancer, backend = await play()
    for offset in range(1, len(WHOLE)):
        async with await balancer.connect() as client:
            await client.send(WHOLE[:offset])
            client.half_close()
            with contextlib.suppress(Cut):
                rest = await client.rest()
                assert not rest or rest.startswith(b"HTTP/1.1 4"), rest
    assert not backend.complete


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("way", ["reset", "close"])
async def test_a_client_that_leaves_in_the_middle_of_its_answer(play: Play, way: str, tls: bool) -> None:
    """The lane is in mid-answer, so it closes with its client and nobody else gets the rest of it."""

    async def endless(lane: Lane) -> None:
        while (seen := await lane.request()) and seen.target != b"/endless":
            await lane.send(answer(b"fresh"))
        await lane.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", b"secret" * 1000)
        await lane.until_closed()

    balancer, backend = await play(endless, tls=tls)
    for number in range(1, 6):
        client = await balancer.connect()
        await client.send(request("/endless"))
        assert (await client.head()).status == 200
        if way == "reset":
            client.reset()
        await client.close()
        await backend.until_ended(number)
        assert (await balancer.ask()).body == b"fresh"
    await balancer.accessed(5, target="/endless", reason="client_gone")


async def test_a_client_that_leaves_while_its_backend_thinks(backends: Backends, balance: Balance) -> None:
    async def thinks(lane: Lane) -> None:
        await lane.request()
        await lane.until_closed()

    [backend] = await backends(thinks)
    balancer = await balance(backend)
    client = await balancer.connect()
    await client.send(request("/slow"))
    await backend.until(lambda: backend.requests)
    client.reset()
    await backend.until_ended(1)
    [record] = await balancer.accessed(target="/slow")
    assert (record["reason"], record["status"]) == ("client_gone", 499)
    assert (await balancer.backends())["c1"]["state"] == "up"


async def test_a_half_close_is_taken_for_leaving(play: Play) -> None:
    """Browsers close both ways at once, so a FIN while an answer is awaited means that nobody waits for it."""

    async def thinks(lane: Lane) -> None:
        await lane.request()
        await lane.until_closed()

    balancer, backend = await play(thinks)
    async with await balancer.connect() as client:
        await client.send(request("/half"))
        await backend.until(lambda: backend.requests)
        client.half_close()
        await client.closed()
    await backend.until_ended(1)
    [record] = await balancer.accessed(target="/half")
    assert (record["reason"], record["status"]) == ("client_gone", 499)


async def test_tls_on_a_plain_port(play: Play) -> None:
    balancer, _ = await play()
    context = ssl.create_default_context()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await balancer.connect(tls=context)
    assert (await balancer.ask()).status == 200


@pytest.mark.parametrize(
    "raw", [request(), b"\0" * 1000, b"\x16\x03\x01\xff\xff" + b"\0" * 70_000, b"\x15\x03\x03\0\2\2\0"]
)
async def test_no_tls_on_a_tls_port(play: Play, raw: bytes) -> None:
    balancer, backend = await play(tls=True)
    async with await balancer.connect(tls=None) as client:
        with contextlib.suppress(ConnectionError):
            await client.send(raw)
            assert not (await client.rest()).startswith(b"HTTP/1.1 2")
    assert (await balancer.ask()).status == 200
    assert len(backend.requests) == 1


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("part", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
async def test_resets_before_there_is_anything_to_answer(play: Play, part: bytes, tls: bool) -> None:
    """Some of them before the connection was accepted."""
    balancer, backend = await play(tls=tls)
    for _ in range(100):
        client = await balancer.connect(tls=None)
        await client.send(part)
        client.reset()
        await client.close()
    assert (await balancer.ask()).status == 200
    await settled(balancer)
    assert len(backend.requests) == 1


async def test_a_handshake_that_never_ends(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(), tls=True, listener={"header_timeout": "300ms"})
    async with await balancer.connect(tls=None) as client:
        await client.send(b"\x16\x03\x01\x02\x00\x01")
        await client.rest()
    assert (await balancer.ask()).status == 200
    ends = (await balancer.status())["ends"]
    assert ends["tls_timeout"] == 1


async def pour(client: Client, head: bytes, piece: bytes, count: int) -> None:
    """Send `piece` up to `count` times, as long as the peer takes it."""
    with contextlib.suppress(ConnectionError):
        await client.send(head)
        for _ in range(count):
            await client.send(piece)


FLOODS = {
    "one header": (b"GET / HTTP/1.1\r\nHost: login.test\r\nX-A: ", b"x" * 65536),
    "header lines": (b"GET / HTTP/1.1\r\nHost: login.test\r\n", b"X-A: 1\r\n" * 8192),
    "a target": (b"GET /", b"x" * 65536),
    "a method": (b"", b"G" * 65536),
    "empty lines": (b"", b"\r\n" * 32768),
    "zeros of a chunk size": (request("/", "POST", "Transfer-Encoding: chunked"), b"0" * 65536),
    "a chunk extension": (request("/", "POST", "Transfer-Encoding: chunked") + b"1;", b"x" * 65536),
    "chunk extensions": (request("/", "POST", "Transfer-Encoding: chunked"), b"1;xxxxxxxxxx\r\nx\r\n" * 4096),
    "trailers": (request("/", "POST", "Transfer-Encoding: chunked") + b"0\r\n", b"X-A: 1\r\n" * 8192),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_floods_cost_no_memory_and_end(play: Play, name: str) -> None:
    """200 MB of each: refused long before the end, in memory bounded by the limits."""
    balancer, _ = await play()
    assert (await balancer.ask()).status == 200
    balancer.forget_peak()
    before = balancer.memory()
    async with await balancer.connect() as client:
        reading = asyncio.ensure_future(client.rest())
        await pour(client, *FLOODS[name], 3200)
        with contextlib.suppress(Cut):
            assert (await reading)[:10] in (b"", b"HTTP/1.1 4")
    assert (await balancer.ask()).status == 200
    assert balancer.memory("VmHWM") - before < 2 << 20


async def test_too_many_connections_are_refused(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(), listener={"max_connections": 2})
    async with await balancer.connect() as first, await balancer.connect() as second:
        assert (await first.ask()).status == 200
        assert (await second.ask()).status == 200
        async with await balancer.connect() as third:
            assert (await third.response()).status == 503
            await third.closed()
        assert (await first.ask()).status == 200
    await settled(balancer)
    assert (await balancer.ask()).status == 200
    assert (await balancer.status())["listeners"][0]["refused"]["too_many_connections"] == 1


async def test_addresses_that_are_not_allowed(backends: Backends, balance: Balance) -> None:
    [backend] = await backends()
    balancer = await balance(backend, listener={"allow": ["192.0.2.0/24"]})
    async with await balancer.connect() as client:
        await client.closed()
    assert not backend.lanes
    assert (await balancer.status())["listeners"][0]["refused"]["not_allowed"] == 1
