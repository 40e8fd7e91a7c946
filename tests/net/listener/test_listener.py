from __future__ import annotations

import gc
import logging
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest

from lbproxy import reasons
from tests.net.conftest import Build
from tests.net.dialogue import answer, request
from tests.net.listener_fixture import answered
from tests.net.peers import until

MANY = 74
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
