"""From sockets to a clean end, in this process and on this loop; the test is the master."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar, cast

import pytest

from lbproxy.balance import orders
from lbproxy.balance.member import Member
from lbproxy.balance.operators import Said
from lbproxy.balance.orders import NO_ORDER, Stamp
from lbproxy.config import Config, load
from lbproxy.control.admin.client import fetch_status
from lbproxy.control.log.logged_event import LoggedEvent
from lbproxy.control.log.recent import EventsView
from lbproxy.control.snapshot import Snapshot
from lbproxy.process.generation.generation import Generation
from lbproxy.process.generation.handover import HandoverState, StartInputs, secret
from lbproxy.process.generation.listen_addresses import ADMIN, wanted
from lbproxy.process.ipc.channel import Channel
from lbproxy.process.ipc.master_messages import (
    WITH_MASTER,
    Drain,
    End,
    Export,
    FromGeneration,
    Gone,
    Logged,
    Operated,
    Order,
    Orphaned,
    Ready,
    Relay,
    Relayed,
    ReloadFailed,
    Retire,
    Signal,
    State,
    Status,
    ToGeneration,
)
from lbproxy.process.ipc.messages import to_fields
from lbproxy.process.master.listening_sockets import listen
from tests.process.places import listen_all
from tests.status.test_served import ORIGIN

CONFIG = """
server_url = "http://login.test"
drain_timeout = "5s"
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
[pool.connectors]
backends = [{{ name = "c1", url = "http://127.0.0.1:{port}" }}]
[pool.connectors.check]
kind = "{kind}"
[access_log]
path = ""
[admin]
bind = "unix:admin.sock"
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short one: the admin socket's path must fit sun_path."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def configuration(folder: Path, port: int = 9, kind: str = "none") -> Config:
    path = folder / "lb.toml"
    path.write_text(CONFIG.format(port=port, kind=kind))
    return load(path)


Heard = TypeVar("Heard", bound=FromGeneration)


class Run:
    """A generation that runs, and the master's end of its channel."""

    def __init__(self, config: Config, state: HandoverState | None = None, replaces: bool = False) -> None:
        ours, self.master = Channel.pair(WITH_MASTER)
        [admin] = [listen(one) for one in wanted(config) if one.key == ADMIN]
        number = 1 if state is None else 2
        origin = ORIGIN._replace(replaces=replaces or state is not None)
        self.sockets = listen_all(config)
        inherited = StartInputs(number, origin, ours, self.sockets, admin, secret(state, time.monotonic()), state)
        self._received: deque[FromGeneration] = deque()
        self.task = asyncio.create_task(Generation(config, inherited).serve())

    async def heard(self, wanted: type[Heard]) -> Heard:
        """The next message of that type; what went wrong, if the generation ends instead."""
        while True:
            while self._received:
                if isinstance(message := self._received.popleft(), wanted):
                    return message
            if self.task.done():
                self.task.result()
            self._received.extend(received.message for received in self.master.receive())
            await asyncio.sleep(0)

    async def exported(self) -> HandoverState:
        """What it leaves to the next one."""
        self.master.send(Export())
        return cast(HandoverState, (await self.heard(State)).state)

    async def end(self) -> None:
        self.master.send(Drain())
        await self.task


@asynccontextmanager
async def running(config: Config, state: HandoverState | None = None, replaces: bool = False) -> AsyncIterator[Run]:
    run = Run(config, state, replaces)
    try:
        yield run
    finally:
        if not run.task.done():
            run.master.send(End())
        await run.task
        run.master.close()


async def view(config: Config) -> Snapshot:
    assert config.admin.bind.path is not None
    return await asyncio.to_thread(fetch_status, config.admin.bind.path)


async def status(config: Config) -> str:
    return (await view(config))["state"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_told(folder: Path, capfd: pytest.CaptureFixture[str], number: signal.Signals) -> None:
    config = configuration(folder)
    async with running(config) as run:
        await run.heard(Ready)
        assert "ready: http://login.test (1 of 1 backends in rotation)\n" in capfd.readouterr().err
        assert await status(config) == "serving"
        os.kill(os.getpid(), number)
        await run.task


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
)
async def test_signals_are_passed_on_to_the_master(folder: Path, number: signal.Signals) -> None:
    async with running(configuration(folder)) as run:
        await run.heard(Ready)
        os.kill(os.getpid(), number)
        assert (await run.heard(Signal)).number == number


async def test_one_that_was_replaced_ends_alone(folder: Path) -> None:
    """Its users keep it for as long as drain_timeout. To end it is not to end the one that serves."""
    async with running(configuration(folder)) as run:
        await run.heard(Ready)
        reader, writer = await asyncio.open_connection(*run.sockets["login"].getsockname())
        run.master.send(Retire())
        await run.heard(Relay)  # it drains
        assert not run.task.done()
        os.kill(os.getpid(), signal.SIGTERM)
        assert await reader.read() == b""
        await run.task
        assert Signal not in [type(received.message) for received in run.master.receive()]
        writer.close()


async def test_one_that_starts_beside_another_ends_alone(folder: Path) -> None:
    probed = asyncio.Event()

    async def connector(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        probed.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(connector, "127.0.0.1", 0)
    config = configuration(folder, server.sockets[0].getsockname()[1], "http")
    async with server, running(config, replaces=True) as run:
        await probed.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await run.task
        assert {type(received.message) for received in run.master.receive()} == {Relay, Status}


async def test_it_shows_how_the_last_reload_went(folder: Path) -> None:
    config = configuration(folder)
    async with running(config, replaces=True) as run:
        text = (await run.heard(Status)).text
        assert text.startswith("serving, 1 of 1 backends in rotation; reloaded at ")
        await run.heard(Ready)
        reload = (await view(config))["configuration"]["last_reload"]
        assert reload is not None
        assert (reload["ok"], reload["problems"]) == (True, [])
        run.master.send(ReloadFailed(["x: missing"], 1795246810.25))
        assert (await run.heard(Status)).text.endswith("failed: x: missing")
        failed = {"ended": 1795246810.25, "ok": False, "problems": ["x: missing"]}
        assert (await view(config))["configuration"]["last_reload"] == failed


async def test_one_that_replaces_nobody_has_no_reload_to_show(folder: Path) -> None:
    config = configuration(folder)
    async with running(config) as run:
        await run.heard(Ready)
        seen = await view(config)
    assert seen["configuration"]["last_reload"] is None
    assert (seen["pid"], seen["generation"]) == (ORIGIN.master, {"number": 1, "pid": os.getpid()})


@pytest.mark.parametrize("order", [Retire(), Drain(), End()])
async def test_it_ends_when_the_master_says_so(folder: Path, order: ToGeneration) -> None:
    async with running(configuration(folder)) as run:
        await run.heard(Ready)
        run.master.send(order)
        await run.task
        # What it has counted until its end goes to the one that follows.
        assert (await run.heard(Relay)).message["type"] == "tally"


async def test_it_ends_when_the_master_is_gone(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = Run(configuration(folder))
    await run.heard(Ready)
    run.master.close()
    await run.task
    assert "master_lost" in caplog.text


def names(events: EventsView) -> list[tuple[str, str]]:
    return [(one["process"], one["name"]) for one in events["events"]]


async def test_it_shows_what_others_have_logged_and_relays_its_own_once_it_was_asked(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The master's it does not relay: the next generation hears them from there."""
    caplog.set_level("INFO")
    config = configuration(folder)
    async with running(config) as run:
        await run.heard(Ready)
        run.master.send(Logged([LoggedEvent(1.0, "INFO", "generation_serves", {}, "master")]))
        cut = Logged([LoggedEvent(2.0, "INFO", "connections_cut", {}, "generation 1")])
        run.master.send(Relayed(1, to_fields(cut)))
        state = await run.exported()
        shown = names(state["events"])
        assert ("master", "generation_serves") in shown
        assert ("generation 1", "connections_cut") in shown
        run.master.send(Retire())
        while (relayed := (await run.heard(Relay)).message)["type"] != "logged":
            pass
        assert "draining" in [LoggedEvent(*one).name for one in relayed["events"]]


async def test_ready_waits_for_the_first_probe(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    probed, answer = asyncio.Event(), asyncio.Event()

    async def connector(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        probed.set()
        await answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(connector, "127.0.0.1", 0)
    config = configuration(folder, server.sockets[0].getsockname()[1], "http")
    async with server, running(config) as run:
        await probed.wait()
        assert await status(config) == "starting"
        assert "ready: " not in capfd.readouterr().err
        answer.set()
        await run.heard(Ready)


async def test_a_stop_does_not_wait_for_the_first_probe(folder: Path) -> None:
    probed, gone = asyncio.Event(), asyncio.Event()

    async def connector(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        probed.set()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(connector, "127.0.0.1", 0)
    async with server, running(configuration(folder, server.sockets[0].getsockname()[1], "http")) as run:
        await probed.wait()
        await run.end()
        await gone.wait()


async def test_the_next_one_goes_on_where_this_one_was(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = configuration(folder)
    async with running(config) as run:
        await run.heard(Ready)
        state = await run.exported()
    capfd.readouterr()
    assert state["backends"]["connectors/c1"]["condition"][0] == "up"
    async with running(config, state) as following:
        await following.heard(Ready)
        assert "ready: " not in capfd.readouterr().err
        again = await following.exported()
        assert again["started"] == state["started"]
        assert list(again["accounts"]["draining"]) == ["1", "2"]
        following.master.send(Relayed(1, to_fields(Orphaned())))
        assert list((await following.exported())["accounts"]["draining"]) == ["1", "2"]
        following.master.send(Relayed(1, to_fields(Gone())))
        assert list((await following.exported())["accounts"]["draining"]) == ["2"]


DRAINED = Operated("connectors", "c1", Said(None, orders.Order(drain=True)).encode())
ADDED = Operated(
    "connectors", "c9", Said(Member("c9", "http://127.0.0.1:9", 2, False, Stamp("olga", 5.0)), NO_ORDER).encode()
)
"""What operators have said to the generation before."""


async def test_orders_given_meanwhile_reach_the_next_one(folder: Path) -> None:
    config = configuration(folder)
    async with running(config) as run:
        await run.heard(Ready)
        state = await run.exported()
        run.master.send(Relayed(1, to_fields(DRAINED)))
        run.master.send(Relayed(1, to_fields(DRAINED.but(name="unknown"))))
        run.master.send(Relayed(1, to_fields(DRAINED.but(pool="unknown"))))
        after = await run.exported()
        draining = [known["backends"]["connectors/c1"]["condition"][2] for known in (state, after)]
        assert draining == [False, True]


async def test_an_order_that_comes_while_it_starts_is_not_lost(folder: Path) -> None:
    config = configuration(folder)
    async with running(config) as run:
        await run.heard(Ready)
        state = await run.exported()
    async with running(config, state) as run:
        run.master.send(Relayed(1, to_fields(DRAINED)))
        run.master.send(Relayed(1, to_fields(ADDED)))
        await run.heard(Ready)
        left = await run.exported()
    assert left["backends"]["connectors/c1"]["condition"][2]
    assert left["operated"]["connectors"]["members"] == [["c9", "http://127.0.0.1:9", 2, False, ["olga", 5.0]]]
    assert left["operated"]["connectors"]["orders"].keys() == {"c1"}


async def test_one_that_drains_obeys_the_orders_that_the_next_one_got(folder: Path) -> None:
    config = configuration(folder)
    async with running(config) as run:
        await run.heard(Ready)
        _, writer = await asyncio.open_connection(*run.sockets["login"].getsockname())
        run.master.send(Retire())
        await run.heard(Relay)  # it drains
        run.master.send(Relayed(2, to_fields(DRAINED)))
        assert (await run.exported())["backends"]["connectors/c1"]["condition"][2]
        writer.close()


async def test_an_older_version_tells_of_drains_only(folder: Path) -> None:
    config = configuration(folder)
    async with running(config) as run:
        await run.heard(Ready)
        for draining in (True, False):
            order = Order("connectors", "c1", draining)
            for one in (order, order.but(backend="unknown"), order.but(pool="unknown")):
                run.master.send(Relayed(1, to_fields(one)))
            assert (await run.exported())["backends"]["connectors/c1"]["condition"][2] is draining
