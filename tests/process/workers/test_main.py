"""A worker on this loop; the test is the generation."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from lbproxy.balance.backend import Backend, State
from lbproxy.balance.condition import Condition, read
from lbproxy.config import Config, load
from lbproxy.control.live_connections import ConnectionQuery
from lbproxy.control.log import event
from lbproxy.control.log.forwarder import EventForwarder
from lbproxy.process.ipc.channel import Channel
from lbproxy.process.ipc.master_messages import Drain, End, Logged, Retire
from lbproxy.process.ipc.worker_messages import (
    WITH_WORKER,
    Accept,
    Address,
    BackendsCounted,
    ConnectionsFound,
    Count,
    Counted,
    Empty,
    FindConnections,
    Hold,
    KickConnection,
    Members,
    Met,
    Release,
    Unfit,
    Up,
)
from lbproxy.process.workers.main import WorkerProcess, work
from tests.process.far import Far
from tests.process.places import listen_all
from tests.runtime.test_data_path import CONFIG, connector

log = logging.getLogger(__name__)

ASK = b"GET / HTTP/1.1\r\nHost: login.test\r\n\r\n"


def up(draining: bool = False) -> Condition:
    """How a good backend is."""
    backend = Backend("c1", "http://c1.test")
    backend.state, backend.draining = State.UP, draining
    return read(backend, None)


class Scene:
    """A worker that accepts for one backend, which is up."""

    def __init__(self, config: Config, port: int) -> None:
        self.config = config
        self.question = 0
        self.sockets = listen_all(config)
        self.address = self.sockets["login"].getsockname()
        theirs, ours = Channel.pair(WITH_WORKER)
        self.far = Far(theirs)
        self.task = asyncio.create_task(WorkerProcess(config, self.sockets, b"").serve(ours))
        self.is_at("127.0.0.1", port)
        self.knows(up())
        self.far.say(Accept())

    def is_at(self, *address: object, family: socket.AddressFamily = socket.AF_INET) -> None:
        self.far.say(Address("connectors/c1", "http://c1.test", family, address))

    def knows(self, condition: Condition) -> None:
        self.far.say(Members(False, [], {}, {"connectors/c1": condition}))

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self.address)

    async def counted(self) -> dict[str, int]:
        """The listener's numbers as they are once everything was heard that it was told."""
        counters = (await self.answered()).tally
        found: dict[str, int] = counters["listeners"]["login"]
        return found

    async def answered(self) -> Counted:
        """The answer to a question about its counts."""
        self.far.heard.clear()
        self.question += 1
        self.far.say(Count(self.question))
        while (found := await self.far.hears(Counted)).answers < self.question:
            pass
        return found

    async def end(self) -> None:
        if not self.task.done():
            self.far.say(End())
        await self.task


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = await asyncio.start_server(connector, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def configuration(tmp_path: Path, listener: str = "") -> Config:
    path = tmp_path / "lb.toml"
    pool = 'retry_budget = "0%"\nwhen_all_down = "refuse"'
    path.write_text('access_log.path = ""\n' + CONFIG.format(url="http://c1.test", listener=listener, pool=pool))
    return load(path)


@pytest.fixture
async def scene(tmp_path: Path, port: int) -> AsyncIterator[Scene]:
    made = Scene(configuration(tmp_path), port)
    await made.far.hears(Up)
    yield made
    await made.end()
    made.far.close()
    for sock in made.sockets.values():
        sock.close()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The status line, to one request."""
    writer.write(ASK)
    return (await reader.readuntil(b"\r\n\r\n")).splitlines()[0]


async def refused(scene: Scene) -> None:
    """Wait until it accepts no more."""
    async with asyncio.timeout(60):
        with suppress(ConnectionRefusedError):
            while True:
                (await scene.connect())[1].close()


async def test_it_serves_once_it_is_told_to_and_counts(scene: Scene) -> None:
    reader, writer = await scene.connect()
    assert await answer(reader, writer) == b"HTTP/1.1 200 OK"
    counted = await scene.counted()
    assert (counted["requests"], counted["connections"]) == (1, 1)
    writer.close()


async def test_it_knows_what_it_is_told(scene: Scene) -> None:
    reader, writer = await scene.connect()
    scene.knows(up(draining=True))
    await scene.counted()
    assert b"503" in await answer(reader, writer)
    writer.close()
    scene.knows(up())
    await scene.counted()
    reader, writer = await scene.connect()
    assert b"200" in await answer(reader, writer)
    writer.close()
    assert Met not in {type(message) for message in scene.far.heard}  # it is no news to the generation


async def test_it_tells_what_its_users_met(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    scene.is_at(*address)
    reader, writer = await scene.connect()
    assert b"503" in await answer(reader, writer)
    met = await scene.far.hears(Met)
    assert (met.backend, met.ejected, met.reason) == ("connectors/c1", True, "connect_refused")
    writer.close()


async def test_ejections_are_counted_by_the_generation(scene: Scene) -> None:
    scene.knows(up()._replace(state="down"))
    reader, writer = await scene.connect()
    await answer(reader, writer)
    counted = (await scene.far.hears(BackendsCounted)).backends["connectors/c1"]
    assert counted["ejections"] == 0
    writer.close()


async def test_of_backends_only_what_has_changed_is_told(scene: Scene) -> None:
    await scene.answered()
    reader, writer = await scene.connect()
    await answer(reader, writer)
    told = (await scene.far.hears(BackendsCounted)).backends
    assert (told["connectors/c1"]["requests"], told["connectors/c1"]["responses"]["2xx"]) == (1, 1)
    await scene.answered()
    scene.far.say(Members(False, ["connectors/c1"], {}, {}))
    assert await scene.far.hears(BackendsCounted) == BackendsCounted({}, ["connectors/c1"])
    writer.close()


async def test_one_that_is_retired_tells_when_it_is_empty(scene: Scene) -> None:
    reader, writer = await scene.connect()
    assert b"200" in await answer(reader, writer)
    scene.far.say(Retire())
    await refused(scene)
    writer.write(ASK)
    assert b"connection: close" in (await reader.readuntil(b"\r\n\r\n")).lower()
    await scene.far.hears(Empty)
    writer.close()


async def test_one_that_drains_leaves_idle_clients(scene: Scene) -> None:
    reader, writer = await scene.connect()
    await scene.counted()
    scene.far.say(Drain())
    assert await reader.read() == b""
    await scene.far.hears(Empty)
    writer.close()


async def test_its_last_words_are_what_it_counted(scene: Scene) -> None:
    reader, writer = await scene.connect()
    await answer(reader, writer)
    await scene.counted()
    scene.far.say(End())
    assert (await scene.far.hears(Counted)).tally["listeners"]["login"]["requests"] == 1
    await scene.task
    assert await reader.read() == b""
    writer.close()


async def test_without_a_generation_it_finishes_and_ends(scene: Scene) -> None:
    reader, writer = await scene.connect()
    assert b"200" in await answer(reader, writer)
    scene.far.close()
    await refused(scene)
    assert b"200" in await answer(reader, writer)
    assert await reader.read() == b""
    await scene.task
    writer.close()


def test_one_that_cannot_start_says_why(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = configuration(tmp_path)
    broken = config.model_copy(update={"access_log": config.access_log.model_copy(update={"path": tmp_path})})
    theirs, ours = Channel.pair(WITH_WORKER)
    sockets = listen_all(config)
    if (pid := os.fork()) == 0:
        os._exit(work(broken, sockets, b"", ours))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert "worker_failed" in capfd.readouterr().err
    logged, unfit = [received.message for received in theirs.receive()]
    assert isinstance(logged, Logged)
    assert [one.name for one in logged.events] == ["worker_failed"]
    assert isinstance(unfit, Unfit)
    for channel in (ours, theirs):
        channel.close()
    for sock in sockets.values():
        sock.close()


async def test_what_it_logs_is_told(scene: Scene) -> None:
    await scene.counted()  # it runs
    event(log, logging.WARNING, "tried", backend="c1")
    [told] = (await scene.far.hears(Logged)).events
    assert (told.level, told.name, told.fields) == ("WARNING", "tried", {"backend": "c1"})
    event(log, logging.WARNING, "at_last")
    await scene.end()
    assert [one.name for one in (await scene.far.hears(Logged)).events][:1] == ["at_last"]
    before = logging.getLogger().handlers
    assert not any(isinstance(one, EventForwarder) for one in before)


async def test_its_address_is_about_to_move(scene: Scene) -> None:
    reader, writer = await scene.connect()
    scene.far.say(Hold(["login"]))
    await scene.counted()
    writer.write(ASK)
    assert b"Connection: close" in await reader.readuntil(b"\r\n\r\n")
    scene.far.say(Release([]))
    again, second = await scene.connect()
    second.write(ASK)
    assert b"Connection: close" not in await again.readuntil(b"\r\n\r\n")
    scene.far.say(Release(["login"]))
    assert await again.read() == b""
    for one in (writer, second):
        one.close()


async def test_it_finds_connections_and_ends_one(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = await scene.connect()
    await answer(reader, writer)
    scene.far.say(FindConnections(1, ConnectionQuery()))
    [one] = (await scene.far.hears(ConnectionsFound)).found["connections"]
    assert (one["phase"], one["requests"]) == ("idle", 1)
    monkeypatch.setattr("lbproxy.process.workers.main.SLICE", 1)
    other, second = await scene.connect()
    await answer(other, second)
    scene.far.say(FindConnections(7, ConnectionQuery()))
    parts = [await scene.far.hears(ConnectionsFound) for _ in range(2)]
    assert [(len(part.found["connections"]), part.found["open"], part.more) for part in parts] == [
        (1, 0, True),
        (1, 2, False),
    ]
    second.close()
    scene.far.heard.clear()
    scene.far.say(KickConnection(2, one["id"]))
    told = await scene.far.hears(ConnectionsFound)
    assert (told.number, [one["id"] for one in told.found["connections"]]) == (2, [one["id"]])
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    scene.far.heard.clear()
    scene.far.say(KickConnection(3, one["id"]))
    assert (await scene.far.hears(ConnectionsFound)).found["connections"] == []
    writer.close()
