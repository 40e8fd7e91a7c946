"""The connections of a real data path, as an operator sees them, and ends one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from lbproxy.config import load
from lbproxy.control.live_connections import SLICE, ConnectionQuery, ConnectionView
from lbproxy.record import Record
from lbproxy.runtime import live_connections
from lbproxy.runtime.data_path import DataPath
from tests.control.probes.backends import listening
from tests.net.peers import until
from tests.process.places import listen_all

CONFIG = """
server_url = "http://login.test"
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
max_connections = 5000
[listener.raw]
bind = "127.0.0.1:0"
pool = "raw"
mode = "tcp"
[pool.connectors]
backends = [{ name = "c1", url = "http://c1.test" }]
when_all_down = "try"
[pool.raw]
backends = [{ name = "c1", url = "tcp://c1.test:80" }]
when_all_down = "try"
"""
ASK = b"GET / HTTP/1.1\r\nHost: login.test\r\n\r\n"
OFFER = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate abc\r\nContent-Length: 0\r\n\r\n"


class Scene:
    """Two listeners in front of one connector, whose answers the test gives."""

    def __init__(self, data_path: DataPath, records: list[Record]) -> None:
        self.data_path = data_path
        self.records = records
        self.writers: list[asyncio.StreamWriter] = []
        self.heads = asyncio.Semaphore(0)
        self.stack = AsyncExitStack()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        while await reader.readuntil(b"\r\n\r\n"):
            self.heads.release()

    async def connect(self, listener: str = "login") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        before = self.data_path.connections
        address = self.data_path.listeners[listener].socket.getsockname()
        reader, writer = await asyncio.open_connection(*address)
        self.stack.callback(writer.close)
        await until(lambda: self.data_path.connections > before)
        return reader, writer

    async def asks(self, writer: asyncio.StreamWriter, request: bytes = ASK) -> None:
        """A request reaches the connector."""
        writer.write(request)
        await self.heads.acquire()

    async def found(self, **query: object) -> list[ConnectionView]:
        return (await live_connections.find(self.data_path, ConnectionQuery(**query)))["connections"]  # type: ignore[arg-type]

    async def phases(self) -> list[str]:
        return [one["phase"] for one in await self.found()]


@asynccontextmanager
async def scene_of(tmp_path: Path) -> AsyncIterator[Scene]:
    (tmp_path / "lb.toml").write_text(CONFIG)
    config = load(tmp_path / "lb.toml", {})
    sockets = listen_all(config)
    records: list[Record] = []
    data_path = DataPath(config, sockets, records.append, True)
    scene = Scene(data_path, records)
    async with listening(scene.serve) as port, scene.stack:
        for backend in data_path.backends():
            backend.lanes.address = socket.AF_INET, ("127.0.0.1", port)
        data_path.start()
        yield scene
        data_path.stop()
        for sock in sockets.values():
            sock.close()
        for writer in scene.writers:
            writer.close()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene_of(tmp_path) as found:
        yield found


async def test_each_is_seen_with_what_it_waits_for(scene: Scene) -> None:
    reader, writer = await scene.connect()
    [one] = await scene.found()
    assert (one["phase"], one["busy_seconds"], one["requests"], one["lanes"]) == ("idle", None, 0, [])
    await scene.asks(writer)
    [one] = await scene.found()
    assert (one["phase"], one["requests"], one["bytes_in"], one["listener"]) == ("sent", 1, len(ASK), "login")
    assert one["lanes"] == [{"backend": "c1", "private": False, "requests": 1}]
    assert one["busy_seconds"] is not None
    assert 0 <= one["busy_seconds"] <= one["age_seconds"]
    assert one["address"] == "{}:{}".format(*writer.get_extra_info("sockname"))
    scene.writers[0].write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
    await reader.readuntil(b"\r\n\r\nhe")
    assert await scene.phases() == ["answering"]
    scene.writers[0].write(b"llo")
    await reader.readexactly(3)
    [after] = await scene.found()
    assert (after["phase"], after["lanes"], after["id"]) == ("idle", [], one["id"])
    assert after["bytes_out"] > len("hello")


async def test_lanes_of_its_own_are_seen(scene: Scene) -> None:
    reader, writer = await scene.connect()
    await scene.asks(writer, ASK.replace(b"\r\n\r\n", b"\r\nAuthorization: Negotiate YII=\r\n\r\n"))
    scene.writers[0].write(OFFER)
    await reader.readuntil(b"\r\n\r\n")
    [one] = await scene.found(backend="connectors/c1")
    assert (one["phase"], one["lanes"]) == ("idle", [{"backend": "c1", "private": True, "requests": 1}])


async def test_passed_connections_are_seen(scene: Scene) -> None:
    _, writer = await scene.connect("raw")
    await scene.asks(writer)
    [one] = await scene.found()
    assert (one["phase"], one["listener"], one["pool"], one["requests"]) == ("tunnel", "raw", "raw", 1)
    assert one["lanes"] == [{"backend": "c1", "private": True, "requests": 1}]


async def test_those_are_shown_that_were_asked_for(scene: Scene) -> None:
    _, web = await scene.connect()
    _, raw = await scene.connect("raw")
    await scene.asks(web)
    await scene.asks(raw)
    assert len(await scene.found()) == 2
    for query, listeners in (
        ({"pool": "raw"}, ["raw"]),
        ({"backend": "c1"}, ["login", "raw"]),
        ({"backend": "connectors/c1"}, ["login"]),
        ({"backend": "c2"}, []),
        ({"address": "127.0.0.1"}, ["login", "raw"]),
        ({"address": "127.0.0.0/8"}, ["login", "raw"]),
        ({"address": "::1"}, []),
        ({"user": "alice"}, []),
        ({"limit": 1}, ["login"]),
        ({"limit": 1, "newest": True}, ["raw"]),
    ):
        assert [one["listener"] for one in await scene.found(**query)] == listeners, query


async def test_of_many_some_are_shown_and_all_are_counted(scene: Scene) -> None:
    clients = [await scene.connect() for _ in range(20)]
    view = await live_connections.find(scene.data_path, ConnectionQuery(limit=5))
    assert (view["open"], view["matched"], view["handshakes"], len(view["connections"])) == (20, 20, 0, 5)
    first = ["{}:{}".format(*writer.get_extra_info("sockname")) for _, writer in clients[:5]]
    assert [one["address"] for one in view["connections"]] == first


async def test_other_work_is_done_between_slices(scene: Scene) -> None:
    """The loop turns at least once for each slice, so what else there is waits for one of them only."""
    for _ in range(3 * SLICE):
        await scene.connect()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    view = await live_connections.find(scene.data_path, ConnectionQuery(limit=10_000))
    counting.cancel()
    assert len(view["connections"]) == 3 * SLICE
    assert turns >= 6, "three while they are looked at, and three while they are described"


async def test_one_is_ended_with_its_reason(scene: Scene) -> None:
    reader, writer = await scene.connect()
    other, _ = await scene.connect()
    await scene.asks(writer)
    [one, _] = await scene.found()
    ended = await live_connections.kick(scene.data_path, one["id"])
    assert ended is not None
    assert (ended["id"], ended["phase"]) == (one["id"], "sent")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    assert [record.reason for record in scene.records] == ["kicked"]
    assert scene.data_path.listeners["login"].ends == {"kicked": 1}
    assert await live_connections.kick(scene.data_path, one["id"]) is None, "it has ended"
    assert not other.at_eof()
    assert scene.data_path.connections == 1


@pytest.mark.parametrize("listener", ["login", "raw"])
async def test_idle_ones_and_tunnels_can_be_ended(scene: Scene, listener: str) -> None:
    reader, writer = await scene.connect(listener)
    if listener == "raw":
        await scene.asks(writer)
    [one] = await scene.found()
    assert await live_connections.kick(scene.data_path, one["id"])
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    assert scene.data_path.listeners[listener].ends == {"kicked": 1}


async def test_an_id_is_of_one_connection_alone(scene: Scene) -> None:
    """A descriptor is used again at once."""
    seen = set()
    for _ in range(50):
        _, writer = await scene.connect()
        [one] = await scene.found()
        seen.add(one["id"])
        writer.close()
        await until(lambda: not scene.data_path.connections)
    assert len(seen) == 50
