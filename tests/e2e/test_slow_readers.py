"""A peer that reads slowly, or not at all, costs no memory and stops nobody else.

The pace is set by events: between two reads of the slow peer, another connection is served. Without backpressure
the other side, which never waits for anything else, would have filled the process's memory by then.
LBPROXY_FULL=1 runs the whole gigabyte.
"""

from __future__ import annotations

import asyncio
import os

import pytest

from .backend import Lane, answer
from .balancer import Balancer
from .client import Client, request
from .conftest import Play

MEGABYTE = 1 << 20
SIZE = (1024 if os.environ.get("LBPROXY_FULL") else 100) * MEGABYTE
PIECE = 65536

GROWTH = 4 * MEGABYTE
"""How much the process may grow: buffers of a few hundred kilobytes, and the allocator's slack."""

IN_SOCKETS = 40 * MEGABYTE
"""More than the kernel keeps in the four socket buffers of one path (net.ipv4.tcp_wmem and tcp_rmem)."""


class Script:
    """GET /big is answered with SIZE bytes; a PUT is read once `resume` is set; the rest is answered at once.

    `poured` is how much of /big the balancer has taken.
    """

    def __init__(self) -> None:
        self.poured = 0
        self.resume = asyncio.Event()

    async def __call__(self, lane: Lane) -> None:
        while seen := await lane.head():
            if seen.method == b"PUT":
                await self.resume.wait()
            await lane.body(seen)
            if seen.target == b"/big" and seen.method == b"GET":
                await self.pour(lane)
            else:
                await lane.send(answer(b"%d" % len(seen.body)))

    async def pour(self, lane: Lane) -> None:
        await lane.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE)
        for _ in range(SIZE // PIECE):
            await lane.send(bytes(PIECE))
            self.poured += PIECE


async def others_are_served(other: Client, count: int) -> None:
    for _ in range(count):
        assert (await other.ask("/small")).status == 200


async def settle(balancer: Balancer, other: Client) -> int:
    """Let every allocation that is made once be made; returns the resident size that growth is measured from."""
    await others_are_served(other, 20)
    balancer.forget_peak()
    return balancer.memory()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_client_that_reads_slowly(play: Play, tls: bool) -> None:
    script = Script()
    balancer, _ = await play(script, tls=tls)
    async with await balancer.connect(receive_buffer=PIECE, limit=PIECE) as slow, await balancer.connect() as other:
        await slow.send(request("/big"))
        assert (await slow.head()).status == 200
        before, received = await settle(balancer, other), 0
        while received < SIZE:
            for _ in range(MEGABYTE // PIECE):
                received += len(await slow.read(PIECE))
            await others_are_served(other, 3)
            assert script.poured - received < IN_SOCKETS
        assert balancer.memory("VmHWM") - before < GROWTH


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_client_that_stops_reading(play: Play, tls: bool) -> None:
    script = Script()
    balancer, backend = await play(script, tls=tls)
    async with await balancer.connect() as other:
        async with await balancer.connect(receive_buffer=PIECE, limit=PIECE) as stopped:
            await stopped.send(request("/big"))
            assert (await stopped.head()).status == 200
            before = await settle(balancer, other)
            await others_are_served(other, 500)
            assert 0 < script.poured < IN_SOCKETS
            assert balancer.memory("VmHWM") - before < GROWTH
            stopped.reset()
        await backend.until(lambda: any(lane.ended.is_set() for lane in backend.lanes))
        await others_are_served(other, 1)
    [record] = await balancer.accessed(target="/big")
    assert record["reason"] == "client_gone"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_backend_that_stops_reading(play: Play, tls: bool) -> None:
    """What the backend does not read stays with the client; once it reads on, all of it arrives."""
    script = Script()
    balancer, backend = await play(script, tls=tls)
    sent, size = 0, 100 * MEGABYTE

    async def upload(client: Client) -> None:
        nonlocal sent
        for _ in range(size // PIECE):
            client.writer.write(bytes(PIECE))
            await client.writer.drain()
            sent += PIECE

    async with await balancer.connect() as client, await balancer.connect() as other:
        await client.send(request("/up", "PUT", f"Content-Length: {size}"))
        await backend.until(lambda: backend.requests)
        before = await settle(balancer, other)
        uploading = asyncio.ensure_future(upload(client))
        await others_are_served(other, 500)
        assert 0 < sent < IN_SOCKETS
        script.resume.set()
        await uploading
        assert (await client.response("PUT")).body == b"%d" % size
        assert balancer.memory("VmHWM") - before < GROWTH
