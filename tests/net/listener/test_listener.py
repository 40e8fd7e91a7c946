from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path

import pytest

from lbproxy import reasons
from lbproxy.net.listener.listener import HANDFUL
from lbproxy.net.transport.poller import Handler
from lbproxy.net.transport.stream import Stream
from tests.net.conftest import Build, Open
from tests.net.dialogue import answer, request
from tests.net.listener_fixture import answered
from tests.net.peers import settled, until

MANY = 74
WHOLE = 65536  # bytes that a stream receives at once
A_TURN = 32  # events of large transfers in one turn of the loop
BUSY = 8 * A_TURN
LOOPBACK, ELSEWHERE = ip_network("127.0.0.0/8"), ip_network("192.0.2.0/24")

# --- accepting


async def test_counts_its_clients(front: Build) -> None:
    home = front()
    clients = [await home.connect() for _ in range(3)]
    await until(lambda: len(home.listener.connections) == 3)
    assert repr(home.listener) == "<listener login 3 connections>"
    for client in clients:
        client.close()
    await until(lambda: not home.listener.connections)
    assert (home.listener.accepted, home.emptied) == (3, 1)
    assert home.listener.ends == {"client_closed": 3}


async def test_accepts_all_that_wait(front: Build) -> None:
    home = front()
    home.listener.pause()
    for _ in range(MANY):
        await home.connect()
    home.listener.start()
    home.listener.start()
    await until(lambda: home.listener.accepted == MANY)


async def test_accepts_a_handful_a_turn(front: Build) -> None:
    """Not one, or a busy loop would let them wait; not all, or they would let everything else wait."""
    home = front()
    home.listener.pause()
    for _ in range(MANY):
        await home.connect()
    loop = asyncio.get_running_loop()
    accepted = [0]

    def look() -> None:
        accepted.append(home.listener.accepted)
        if accepted[-1] < MANY:
            loop.call_soon(look)

    look()
    home.listener.start()
    await until(lambda: accepted[-1] == MANY)
    taken = [after - before for before, after in pairwise(accepted)]
    assert [count for count in taken if count] == [HANDFUL] * (MANY // HANDFUL) + [MANY % HANDFUL]


class Busy(Handler):
    """The near end of a transfer that never ends; `moved` are the bytes that all of them have received."""

    moved = 0

    def __init__(self, peer: socket.socket) -> None:
        self.peer = peer
        peer.send(bytes(4 * WHOLE))

    def readable(self, stream: Stream) -> None:
        data = stream.read()
        assert data
        Busy.moved += len(data)
        self.peer.send(data)


async def make_busy(open_stream: Open) -> None:
    """BUSY transfers go on and on, and each is known to be large."""
    for _ in range(BUSY):
        stream, peer = open_stream(Handler())
        stream.handler = Busy(peer.sock)
    Busy.moved = 0
    await until(lambda: Busy.moved > 4 * BUSY * WHOLE)


async def moved_until(condition: Callable[[], bool]) -> list[int]:
    """The bytes that transfers have moved in each turn of the loop until `condition()` is true."""
    loop, moved = asyncio.get_running_loop(), [Busy.moved]

    def look() -> None:
        moved.append(Busy.moved)
        if not condition():
            loop.call_soon(look)

    look()
    await until(condition)
    return [after - before for before, after in pairwise(moved)]


async def test_new_connections_are_served_beside_busy_transfers(front: Build, open_stream: Open) -> None:
    """What others move while a connection waits does not depend on how many others there are."""
    home = front()
    await make_busy(open_stream)
    clients = [home.arrives(request()) for _ in range(2 * HANDFUL)]
    moved = await moved_until(lambda: home.site.requests == len(clients))
    assert max(moved) <= A_TURN * WHOLE
    assert len(moved) <= 6, "turns of the loop: to be told, two to accept, one to read, and one to spare"
    for client in clients:
        client.close()


async def test_a_kept_connection_that_had_a_large_answer_is_served_beside_busy_transfers(
    front: Build, open_stream: Open
) -> None:
    home = front()
    client = await home.connect()
    await client.send(request())
    lane = await home.places[0].lane()
    await lane.head()
    large = answer(bytes(8 << 20))  # more than the kernel takes for a client that does not read
    sending = asyncio.create_task(lane.send(large))
    await settled(lambda: home.poller.streams)
    await client.sees(large)
    await sending
    await make_busy(open_stream)
    client.sock.send(request())
    moved = await moved_until(lambda: home.site.requests == 2)
    assert max(moved) <= A_TURN * WHOLE
    assert len(moved) <= 4


async def test_max_connections(front: Build) -> None:
    home = front(max_connections=2)
    kept = [await home.connect() for _ in range(2)]
    await until(lambda: home.listener.accepted == 2)
    turned_away = await home.connect()
    words = await turned_away.rest()
    assert words.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 2\r\n" in words
    assert home.listener.refused == {"too_many_connections": 1}
    kept[0].close()
    await until(lambda: len(home.listener.connections) == 1)
    await answered(home, await home.connect())
    assert home.listener.accepted == 3


async def test_one_who_is_turned_away_has_gone_already(front: Build) -> None:
    home = front(max_connections=1)
    await home.connect()
    await until(lambda: home.listener.accepted == 1)
    home.listener.pause()
    (await home.connect()).reset()
    home.listener.start()
    await until(lambda: home.listener.refused)
    await until(lambda: home.poller.streams == 1)


@pytest.mark.parametrize(
    ("allow", "served"), [((LOOPBACK,), True), ((ELSEWHERE, LOOPBACK), True), ((ELSEWHERE,), False)]
)
async def test_allow(front: Build, allow: tuple[object, ...], served: bool) -> None:
    home = front(allow=allow)
    client = await home.connect()
    if served:
        await answered(home, client)
        assert home.listener.refused == {}
    else:
        assert await client.rest() == b""
        assert (home.listener.refused, home.listener.accepted) == ({"not_allowed": 1}, 0)


async def test_a_unix_socket_has_clients_without_address(front: Build, tmp_path: Path) -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(os.path.relpath(tmp_path / "s"))
    sock.listen()
    home = front(sock=sock, trust=(LOOPBACK,), allow=(ELSEWHERE,))
    seen = await answered(home, await home.connect())
    assert b"\r\nX-Forwarded-For: unknown\r\n" in seen
    assert home.records[0].client == "unix"


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Every descriptor that the process may have is in use."""
    gc.collect()  # or a socket of a test before may be closed meanwhile, and its number be free
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_descriptors_it_pauses(front: Build, caplog: pytest.LogCaptureFixture) -> None:
    home = front()
    home.listener.pause()
    client = await home.connect()
    with no_descriptors():
        home.listener.start()
        await until(lambda: caplog.records)
    [record] = caplog.records
    assert (record.levelno, record.message) == (logging.ERROR, "accept_paused")
    assert home.listener.accepted == 0
    await answered(home, client)


async def test_a_pause_for_want_of_descriptors_does_not_undo_a_drain(
    front: Build, caplog: pytest.LogCaptureFixture
) -> None:
    home = front()
    home.listener.pause()
    await home.connect()
    with no_descriptors():
        home.listener.start()
        await until(lambda: caplog.records)
    home.listener.drain()
    home.listener.start()
    assert not home.poller.loop.remove_reader(home.socket.fileno()), "nobody watches it"


async def test_what_is_left_for_lanes_is_not_for_clients(front: Build, caplog: pytest.LogCaptureFixture) -> None:
    home = front(room=4)
    first, second, third = [await home.connect() for _ in range(3)]
    await until(lambda: home.listener.pauses)
    assert home.listener.accepted == 2
    await answered(home, second)  # over a lane, which makes three streams
    assert [record.message for record in caplog.records] == ["accept_paused"]
    first.close()
    second.close()
    home.places[0].lanes[0].close()
    await answered(home, third)
    assert [record.message for record in caplog.records] == ["accept_paused"], "not again within a minute"


async def test_who_was_stopped_for_want_of_descriptors_stays_stopped(front: Build) -> None:
    home = front(room=0)
    await home.connect()
    await until(lambda: home.listener.pauses)
    home.listener.stop(reasons.SHUTDOWN)
    assert not home.poller.loop.remove_reader(home.socket.fileno())
    home.listener._recover()
    assert not home.poller.loop.remove_reader(home.socket.fileno()), "nobody accepts"


# --- stopping


async def test_drain_answers_whom_it_has_accepted_and_whom_the_kernel_has(front: Build) -> None:
    home = front()
    idle, busy = await home.connect(), await home.connect()
    await answered(home, idle)
    lane = home.places[0].lanes[0]
    await busy.send(request())
    await lane.head()
    waiting = [home.arrives(request(b"GET /denied")) for _ in range(MANY)]
    home.listener.drain()
    assert await idle.rest() == b""
    await lane.send(answer(b"late"))
    await busy.sees(answer(b"late", b"Connection: close"))
    for client in waiting:
        assert (await client.rest()).startswith(b"HTTP/1.1 404 ")
        client.close()
    await until(lambda: home.emptied)
    assert home.emptied == 1
    assert not home.poller.loop.remove_reader(home.socket.fileno()), "nobody accepts any more"


async def test_stop_ends_everybody(front: Build) -> None:
    home = front()
    idle, busy = await home.connect(), await home.connect()
    await busy.send(request())
    lane = await home.places[0].lane()
    await lane.head()
    await until(lambda: home.listener.accepted == 2)
    home.listener.stop(reasons.SHUTDOWN)
    assert await idle.rest() == b""
    await busy.is_reset()
    assert await lane.rest() == b""
    assert home.listener.ends == {"shutdown": 2}
    assert not home.listener.connections
