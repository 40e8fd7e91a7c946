"""Mode tcp: connections are spread, and their bytes pass unread, whoever speaks first."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import Counter
from hashlib import sha256

import pytest

from .backend import Lane, ScriptedBackend
from .balancer import Balancer
from .conftest import Backends, Balance, Share
from .message import Cut
from .progress import DEADLINE
from .surroundings import BY_COMMAND_LINE
from .test_drain import drain
from .test_rotation import QUICK, until_state

MEGABYTE = 1 << 20
SIZE = (1024 if os.environ.get("LBPROXY_FULL") else 64) * MEGABYTE
PIECE = 1 << 18

GROWTH = 4 * MEGABYTE
"""How much the process may grow: buffers of a few hundred kilobytes, and the allocator's slack."""

IN_SOCKETS = 40 * MEGABYTE
"""More than the kernel keeps in the four socket buffers of one path (net.ipv4.tcp_wmem and tcp_rmem)."""


async def greets(lane: Lane) -> None:
    """Speaks first, as servers of SSH and SMTP do."""
    await lane.send(lane.backend.name.encode())
    await lane.until_closed()


async def echoes(lane: Lane) -> None:
    while data := await lane.reader.read(PIECE):
        await lane.send(data)


async def greeting(balancer: Balancer) -> bytes:
    """The name of the backend that a connection of its own gets to."""
    async with await balancer.connect() as client:
        return await client.read(2)


async def until_refused(balancer: Balancer) -> None:
    """Connect until nobody listens any more; what waited when the listener closed is reset."""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                await (await balancer.connect()).close()
            except ConnectionRefusedError:
                return
            except ConnectionResetError:
                pass


# --- who gets a connection


async def test_connections_are_spread_evenly(share: Share) -> None:
    balancer, _ = await share(greets, greets, greets, mode="tcp")
    assert Counter([await greeting(balancer) for _ in range(30)]) == {b"c1": 10, b"c2": 10, b"c3": 10}
    together = await asyncio.gather(*(greeting(balancer) for _ in range(60)))
    assert Counter(together) == {b"c1": 20, b"c2": 20, b"c3": 20}


async def test_a_connection_stays_where_it_is(share: Share) -> None:
    balancer, members = await share(echoes, echoes, echoes, mode="tcp")
    async with await balancer.connect() as client:
        for word in (b"one", b"two", b"three"):
            await client.send(word)
            assert await client.read(len(word)) == word
    assert sorted(len(member.lanes) for member in members) == [0, 0, 1]


async def test_a_dead_backend_costs_no_connection(backends: Backends, passes: Balance) -> None:
    members = await backends(greets, greets, greets)
    balancer = await passes(*members)
    await members[1].stop()
    assert Counter([await greeting(balancer) for _ in range(10)]) == {b"c1": 5, b"c3": 5}
    status = (await balancer.backends())["c2"]
    assert (status["state"], status["reason"], status["connect_failures"]) == ("down", "connect_refused", 1)
    [moved] = await balancer.accessed(tries=2)
    assert moved["backend"] == "c3"


async def test_what_a_client_sent_early_is_not_lost_with_a_dead_backend(backends: Backends, passes: Balance) -> None:
    members = await backends(echoes, echoes)
    balancer = await passes(*members)
    await members[0].stop()
    async with await balancer.connect() as client:
        await client.send(b"said before there was anybody to listen")
        assert await client.read(39) == b"said before there was anybody to listen"


async def test_a_probe_brings_a_backend_back(backends: Backends, passes: Balance) -> None:
    members = await backends(greets, greets)
    balancer = await passes(*members, pool={"check": {"kind": "tcp", **QUICK}, "readmit_backoff": "0s"})
    await members[1].stop()
    await until_state(balancer, "c2", "down")
    assert [await greeting(balancer) for _ in range(3)] == [b"c1"] * 3
    await members[1].start()
    await until_state(balancer, "c2", "up")
    assert {await greeting(balancer) for _ in range(2)} == {b"c1", b"c2"}


@pytest.mark.parametrize("when_all_down", ["try", "refuse"])
async def test_without_any_backend_the_client_is_cut_off(
    backends: Backends, passes: Balance, when_all_down: str
) -> None:
    members = await backends(greets, greets)
    balancer = await passes(*members, pool={"when_all_down": when_all_down})
    for member in members:
        await member.stop()
    for _ in range(2):
        with pytest.raises(ConnectionError):  # a reset, maybe before we look: an orderly end would be an answer
            async with await balancer.connect() as client:
                await client.rest()
    await balancer.accessed(2, reason="no_backend")
    await members[1].start()
    if when_all_down == "try":
        assert await greeting(balancer) == b"c2"


async def test_a_drained_backend_gets_no_more_and_keeps_what_it_has(backends: Backends, passes: Balance) -> None:
    members = await backends(echoes, greets)
    balancer = await passes(*members)
    async with await balancer.connect() as client:
        await client.send(b"a")
        assert await client.read(1) == b"a"
        assert await drain(balancer, "c1") == (0, "connectors/c1 is drained; 1 tunnel to finish\n", "")
        assert [await greeting(balancer) for _ in range(3)] == [b"c2"] * 3
        await client.send(b"b")
        assert await client.read(1) == b"b"


# --- the bytes, and how they end


async def test_a_client_that_is_done_still_gets_its_answer(share: Share) -> None:
    async def answers_at_the_end(lane: Lane) -> None:
        question = await lane.reader.read()
        await lane.send(question[::-1] * 100_000)

    balancer, _ = await share(answers_at_the_end, mode="tcp")
    async with await balancer.connect() as client:
        await client.send(b"abc")
        client.half_close()
        assert await client.rest() == b"cba" * 100_000
    [record] = await balancer.accessed(reason="tunnel_done")
    assert (record["bytes_in"], record["bytes_out"], record["protocol"]) == (3, 300_000, "TCP")
    assert (record["client"], record["backend"], record["tries"]) == (client.name, "c1", 1)


async def test_a_backend_that_is_done_is_still_told(share: Share) -> None:
    told = []

    async def says_goodbye_first(lane: Lane) -> None:
        await lane.send(b"goodbye")
        lane.half_close()
        told.append(await lane.reader.read())

    balancer, [backend] = await share(says_goodbye_first, mode="tcp")
    async with await balancer.connect() as client:
        assert await client.rest() == b"goodbye"
        await client.send(b"well, goodbye then")
        client.half_close()
        await backend.until_ended(1)
    assert told == [b"well, goodbye then"]
    await balancer.accessed(reason="tunnel_done")


async def test_a_client_that_breaks_off(share: Share) -> None:
    balancer, [backend] = await share(echoes, mode="tcp")
    before = (await balancer.backends())["c1"]["errors"]
    async with await balancer.connect() as client:
        await client.send(b"a")
        assert await client.read(1) == b"a"
        client.reset()
        await backend.until_ended(1)
    await balancer.accessed(reason="client_gone")
    assert (await balancer.backends())["c1"]["errors"] == before


async def test_a_backend_that_breaks_off(share: Share) -> None:
    """The client sees a reset too: the answer that it has is not whole."""

    async def breaks_off(lane: Lane) -> None:
        await lane.send(b"the first half")
        await lane.reader.readexactly(1)
        lane.reset()

    balancer, _ = await share(breaks_off, mode="tcp")
    async with await balancer.connect() as client:
        assert await client.read(14) == b"the first half"
        await client.send(b"?")
        with pytest.raises(Cut):
            await client.rest()
    await balancer.accessed(reason="tunnel_cut")


async def test_much_arrives_intact_both_ways_at_once(share: Share) -> None:
    """SIZE bytes there and back; LBPROXY_FULL=1 makes it a gigabyte."""
    balancer, _ = await share(echoes, mode="tcp")
    sent, received, count = sha256(), sha256(), 0
    piece = os.urandom(PIECE)
    async with await balancer.connect(limit=PIECE) as client:

        async def send() -> None:
            for number in range(SIZE // PIECE):
                data = piece[number % 251 :] + piece[: number % 251]
                sent.update(data)
                await client.send(data)
            client.half_close()

        sending = asyncio.ensure_future(send())
        while data := await client.reader.read(PIECE):
            received.update(data)
            count += len(data)
        await sending
    assert (count, received.digest()) == (SIZE, sent.digest())
    await balancer.accessed(reason="tunnel_done", bytes_in=SIZE, bytes_out=SIZE)


class Flood:
    """What one side sends without end; `sent` is how many bytes of it were taken."""

    def __init__(self) -> None:
        self.sent = 0

    async def pour(self, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes(PIECE))
            await writer.drain()
            self.sent += PIECE

    async def stands_still(self, balancer: Balancer) -> None:
        """Return once it does, the balancer having answered others meanwhile."""
        before = -1
        while not self.sent or before < self.sent < IN_SOCKETS:
            before = self.sent
            for _ in range(20):
                await balancer.status()
        assert self.sent < IN_SOCKETS


@pytest.mark.parametrize("lazy", ["client", "backend"])
async def test_who_does_not_read_stops_who_sends(backends: Backends, passes: Balance, lazy: str) -> None:
    flood = Flood()

    async def script(lane: Lane) -> None:
        await (flood.pour(lane.writer) if lazy == "client" else asyncio.Event().wait())

    [backend] = await backends(script)
    balancer = await passes(backend, around=BY_COMMAND_LINE)
    await balancer.status()
    balancer.forget_peak()
    before = balancer.memory()
    async with await balancer.connect(receive_buffer=PIECE, limit=PIECE) as client:
        pouring = asyncio.ensure_future(asyncio.sleep(0) if lazy == "client" else flood.pour(client.writer))
        await flood.stands_still(balancer)
        assert balancer.memory("VmHWM") - before < GROWTH
        pouring.cancel()
        client.reset()


# --- limits


async def test_a_connection_on_which_nothing_moves_is_ended(backends: Backends, passes: Balance) -> None:
    [backend] = await backends(echoes)
    balancer = await passes(backend, listener={"idle_timeout": "500ms"})
    async with await balancer.connect() as client:
        await client.send(b"a")
        assert await client.read(1) == b"a"
        await client.closed()
    await backend.until_ended(1)
    await balancer.accessed(reason="idle_timeout")


async def test_a_backend_that_does_not_accept(backends: Backends, passes: Balance) -> None:
    """Its queue is full, so the kernel drops what asks for a connection."""
    deaf = socket.create_server(("127.0.0.1", 0), backlog=0)
    fills = [socket.socket() for _ in range(2)]
    try:
        for one in fills:
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        silent = ScriptedBackend("silent")
        silent.port = deaf.getsockname()[1]
        balancer = await passes(silent, *await backends(greets), pool={"connect_timeout": "200ms"})
        assert [await greeting(balancer) for _ in range(4)] == [b"c1"] * 4
        assert (await balancer.backends())["silent"]["reason"] == "connect_timeout"
    finally:
        for one in [deaf, *fills]:
            one.close()


async def test_one_connection_too_many(backends: Backends, passes: Balance) -> None:
    balancer = await passes(*await backends(greets), listener={"max_connections": 1})
    async with await balancer.connect() as client:
        assert await client.read(2) == b"c1"
        async with await balancer.connect() as second:
            await second.closed()
        assert (await balancer.status())["listeners"][0]["refused"]["too_many_connections"] == 1


async def test_term_waits_for_connections_within_drain_timeout(backends: Backends, passes: Balance) -> None:
    balancer = await passes(*await backends(echoes), drain_timeout="20s")
    async with await balancer.connect() as client:
        await client.send(b"a")
        assert await client.read(1) == b"a"
        balancer.signal(signal.SIGTERM)
        await until_refused(balancer)
        await client.send(b"b")
        assert await client.read(1) == b"b"
    assert await balancer.exited() == 0


async def test_term_cuts_what_takes_longer(backends: Backends, passes: Balance) -> None:
    balancer = await passes(*await backends(echoes), drain_timeout="0s")
    async with await balancer.connect() as client:
        await client.send(b"a")
        assert await client.read(1) == b"a"
        balancer.signal(signal.SIGTERM)
        with pytest.raises(Cut):
            await client.rest()
    assert await balancer.exited() == 0
    await balancer.accessed(reason="shutdown")
