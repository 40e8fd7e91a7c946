"""A worker's process: a data path of its own, and a line to the generation that it belongs to (`supervisor`)."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial

import uvloop

from lbproxy.auth.mint import MintedRecord
from lbproxy.balance import full_name
from lbproxy.balance.backend import Backend
from lbproxy.balance.feed import Observer
from lbproxy.balance.health import Change
from lbproxy.balance.pool import Pool
from lbproxy.config import Config
from lbproxy.control import log as operational_log
from lbproxy.control import tasks
from lbproxy.control.access_log import AccessLog
from lbproxy.control.live_connections import NO_CONNECTIONS, SLICE, ConnectionsView
from lbproxy.control.log import event, set_level
from lbproxy.control.log.forwarder import EventForwarder
from lbproxy.control.log.logged_event import LoggedEvent
from lbproxy.errors import StartError
from lbproxy.net.transport.poller import monotonic
from lbproxy.process import memory
from lbproxy.process.ipc.async_channel import AsyncChannel
from lbproxy.process.ipc.channel import Channel, Received
from lbproxy.process.ipc.master_messages import Drain, End, LogFrom, Logged, Reopen, Retire
from lbproxy.process.ipc.worker_messages import (
    Accept,
    Address,
    BackendsCounted,
    ConnectionsFound,
    Count,
    Counted,
    Empty,
    FindConnections,
    FromWorker,
    Hold,
    KickConnection,
    Members,
    Met,
    Minted,
    Release,
    TicketSecrets,
    ToWorker,
    Traced,
    Unfit,
    Up,
)
from lbproxy.process.workers.count_report import CountReport
from lbproxy.reasons import Reason
from lbproxy.record import Trace
from lbproxy.runtime import live_connections
from lbproxy.runtime.data_path import PATIENCE, DataPath
from lbproxy.status import counters
from lbproxy.status.tls_report import tls_report

log = logging.getLogger(__name__)

REPORT_EVERY = 1.0
"""Seconds between two reports of the counts, besides those that are asked for."""

TELL_LOGGED_EVERY = 0.1
"""Seconds between two messages with what was logged."""


def work(
    config: Config, sockets: Mapping[str, socket.socket], secret: bytes, channel: Channel[FromWorker, ToWorker]
) -> int:
    """Serve until the generation says otherwise; the exit status. `secret`: see `ServerTls`."""
    handler = operational_log.setup(to=config.log.to)
    try:
        worker = WorkerProcess(config, sockets, secret)
        uvloop.run(worker.serve(channel))
    except StartError as error:
        event(log, logging.ERROR, "worker_failed", problem=error)
        channel.send(Logged(worker.forwarder.take()))
        channel.send(Unfit(str(error)))
        return 1
    finally:
        handler.close()
    return 0


class WorkerProcess(Observer):
    """What it is told, it does; what its own users meet, it tells."""

    def __init__(self, config: Config, sockets: Mapping[str, socket.socket], secret: bytes) -> None:
        self._config = config
        self._sockets = sockets
        self._secret = secret
        self._adopting = False  # what changes now is no news to the generation
        self._end = asyncio.Event()
        self._question = 0  # the number of the last one about the counts
        self._asked = asyncio.Event()
        self._answering: set[asyncio.Task[None]] = set()
        self._emptying: asyncio.Task[None] | None = None
        self._access_log: AccessLog
        self._data_path: DataPath
        self._report: CountReport
        self._channel: AsyncChannel[FromWorker, ToWorker]
        self._is_up = False  # there is a channel
        self.forwarder: EventForwarder  # tells the generation what is logged here

    def __repr__(self) -> str:
        return f"<worker {self._data_path!r}>"

    async def serve(self, channel: Channel[FromWorker, ToWorker]) -> None:
        """Returns when everything is closed. Raises StartError."""
        self.forwarder = EventForwarder("worker", TELL_LOGGED_EVERY, self._logged)
        logging.getLogger().addHandler(self.forwarder)
        there = self._config.access_log
        self._access_log = AccessLog(str(there.path), there.to)
        log, logs = self._access_log.write, self._access_log.enabled
        data_path = self._data_path = DataPath(self._config, self._sockets, log, logs, [self._secret])
        self._report = CountReport(data_path)
        for pool in data_path.pools.values():
            pool.observers.append(self)
        for name, mint in data_path.mints.items():
            mint.on_minted.append(partial(self._minted, name))
        self._channel = AsyncChannel(channel, self._told, self._deserted)
        self._is_up = True
        data_path.traces.hand_over = self._traced
        self._channel.send(Up())
        data_path.keep_time()
        memory.release_code()
        telling = asyncio.ensure_future(self._keep_telling())
        await self._end.wait()
        telling.cancel()
        data_path.stop()
        self._access_log.close()
        for piece in self._report.pieces():
            self._tell_piece(piece)
        self._tell_counted(self._question)
        logging.getLogger().removeHandler(self.forwarder)
        self.forwarder.stop()
        self._channel.close()

    def _told(self, received: Received[ToWorker]) -> None:
        match received.message:
            case Members() as members:
                self._follow(members)
            case Address(name, url, family, address):
                pool, backend = self._find(name)
                if backend is not None and backend.url == url:
                    self._data_path.resolved(pool, backend, family, address)
            case Minted(listener, minted_records):
                for minted_record in minted_records:
                    self._data_path.mints[listener].remember(minted_record)
            case TicketSecrets(secrets):
                self._data_path.seal([bytes.fromhex(one) for one in secrets])
            case Accept():
                self._data_path.start()
            case Hold(listeners):
                self._data_path.hold(listeners)
            case Release(gone):
                self._data_path.release(gone)
            case Count(number):
                self._question = number
                self._asked.set()
            case FindConnections(number, query):
                self._answer(number, live_connections.find(self._data_path, query))
            case KickConnection(number, identity):
                self._answer(number, self._kick(identity))
            case LogFrom(level):
                set_level(level)
            case Reopen():
                self._access_log.reopen()
            case End():
                self._end.set()
            case Retire():
                self._leave(self._tell_when(self._data_path.emptied))
            case Drain():
                self._leave(self._tell_when(self._data_path.drain))

    def _answer(self, number: int, finding: Coroutine[object, object, ConnectionsView]) -> None:
        """Tell what is found, when it is."""

        async def answer() -> None:
            found = await finding
            connections = found["connections"]
            while len(connections) > SLICE:
                part, connections = connections[:SLICE], connections[SLICE:]
                self._channel.send(ConnectionsFound(number, {**NO_CONNECTIONS, "connections": part}, more=True))
                await asyncio.sleep(0)
            self._channel.send(ConnectionsFound(number, {**found, "connections": connections}))
            self._answering.discard(task)

        task = tasks.start(answer(), name="connections")
        self._answering.add(task)

    async def _kick(self, identity: str) -> ConnectionsView:
        ended = await live_connections.kick(self._data_path, identity)
        return {**NO_CONNECTIONS, "connections": [] if ended is None else [ended]}

    def _follow(self, members: Members) -> None:
        """Apply leaves, joins and the conditions of members."""
        self._adopting = True
        told, gone = members.joined, members.left
        if members.whole:
            gone = [
                full_name.join(pool.name, one.name) for pool in self._data_path.pools.values() for one in pool.backends
            ]
        for name in gone:
            pool, backend = self._find(name)
            if backend is not None and (name not in told or told[name].url != backend.url):
                pool.leave(backend.name)
        for name, member in told.items():
            self._find(name)[0].join(member)
        for name, condition in members.conditions.items():
            pool, backend = self._find(name)
            if backend is not None:
                pool.adopt(backend, condition, monotonic())
        self._adopting = False

    def _find(self, name: str) -> tuple[Pool, Backend | None]:
        """By POOL/BACKEND; without a backend if it has left."""
        pool_name, short = full_name.split(name)
        pool = self._data_path.pools[pool_name]
        return pool, pool.by_name(short)

    def changed(self, pool: Pool, backend: Backend, change: Change | None, reason: Reason | None, detail: str) -> None:
        """See `Observer`."""
        if self._adopting or reason is None:
            return
        name, ejected = full_name.join(pool.name, backend.name), change is Change.EJECT
        self._channel.send(Met(name, backend.url, ejected, reason.label, detail))

    def _minted(self, listener: str, minted_record: MintedRecord) -> None:
        self._channel.send(Minted(listener, [minted_record]))

    def _traced(self, traces: list[Trace]) -> bool:
        """Tell of sampled requests, unless the generation is behind with what it was told."""
        return self._tell(Traced(traces))

    def _logged(self, events: list[LoggedEvent]) -> bool:
        """The same of what was logged."""
        return self._is_up and self._tell(Logged(events))

    def _tell(self, message: FromWorker) -> bool:
        if self._channel.is_behind:
            return False
        self._channel.send(message)
        return True

    def _leave(self, emptying: Coroutine[object, object, None]) -> None:
        """Accept waiting connections and then no more; `emptying` goes on until none is open."""
        self._data_path.retire()
        for sock in self._sockets.values():
            sock.close()
        if self._emptying is not None:
            self._emptying.cancel()
        self._emptying = tasks.start(emptying, name="emptying")

    async def _tell_when(self, emptied: Callable[[], Awaitable[bool]]) -> None:
        await emptied()
        self._channel.send(Empty())

    def _deserted(self) -> None:
        """The generation is gone, and another one will accept: let requests finish, and end."""
        self._leave(self._finish())

    async def _finish(self) -> None:
        patience = self._config.drain_timeout * PATIENCE
        await self._data_path.emptied(patience)
        await self._data_path.drain(self._config.drain_timeout - patience)
        self._end.set()

    async def _keep_telling(self) -> None:
        while True:
            await self._tell_counters()
            await tasks.wait_for(self._asked, REPORT_EVERY)

    async def _tell_counters(self) -> None:
        """Everything that the generation does not know yet, in pieces: requests are served between them."""
        self._asked.clear()
        question = self._question
        for piece in self._report.pieces():
            self._tell_piece(piece)
            await asyncio.sleep(0)
        self._tell_counted(question)

    def _tell_piece(self, piece: BackendsCounted | None) -> None:
        if piece is not None:
            self._channel.send(piece)

    def _tell_counted(self, question: int) -> None:
        counted = counters.take_process(self._data_path, self._access_log)
        self._channel.send(Counted(counted, {**tls_report(self._config, self._data_path, time.time())}, question))
