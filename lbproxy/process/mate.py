"""A worker's process: a data path of its own, and a line to the generation that it belongs to (`crew`)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any

import uvloop

from lbproxy.auth.mint import Keepsake
from lbproxy.balance.backend import Backend
from lbproxy.balance.condition import Condition
from lbproxy.balance.health import Change
from lbproxy.balance.pool import Pool
from lbproxy.config import Config
from lbproxy.control import log as operational_log
from lbproxy.control import tasks
from lbproxy.control.access_log import AccessLog
from lbproxy.control.log import event
from lbproxy.errors import StartError
from lbproxy.net.stream import monotonic
from lbproxy.process import tally
from lbproxy.process.channel import Channel, Received
from lbproxy.process.line import Line
from lbproxy.process.worker import PATIENCE, Worker
from lbproxy.reasons import Reason

log = logging.getLogger(__name__)

REPORT_EVERY = 1.0
"""Seconds between two tallies that nobody asked for."""


def work(config: Config, sockets: Mapping[str, socket.socket], secret: bytes, channel: Channel) -> int:
    """Serve until the generation says otherwise; the exit status. `secret`: see `ServerTls`."""
    handler = operational_log.setup()
    try:
        uvloop.run(Mate(config, sockets, secret).serve(channel))
    except StartError as error:
        event(log, logging.ERROR, "worker_failed", problem=error)
        return 1
    finally:
        handler.close()
    return 0


class Mate:
    """What it is told, it does; what its own users meet, it tells."""

    def __init__(self, config: Config, sockets: Mapping[str, socket.socket], secret: bytes) -> None:
        self._config = config
        self._sockets = sockets
        self._secret = secret
        self._adopting = False  # what changes now is no news to the generation
        self._end = asyncio.Event()
        self._emptying: asyncio.Task[None] | None = None
        self._access_log: AccessLog
        self._worker: Worker
        self._line: Line

    def __repr__(self) -> str:
        return f"<mate {self._worker!r}>"

    async def serve(self, channel: Channel) -> None:
        """Returns when everything is closed. Raises StartError."""
        self._access_log = AccessLog(str(self._config.access_log.path))
        log, logs = self._access_log.write, self._access_log.enabled
        worker = self._worker = Worker(self._config, self._sockets, log, logs, self._secret)
        for pool in worker.pools.values():
            pool.on_change.append(partial(self._met, pool))
        for name, mint in worker.mints.items():
            mint.on_minted.append(partial(self._minted, name))
        self._line = Line(channel, self._told, self._deserted)
        self._line.tell("up")
        worker.keep_time()
        telling = asyncio.ensure_future(self._keep_telling())
        await self._end.wait()
        telling.cancel()
        worker.stop()
        self._access_log.close()
        self._tell_tally()
        self._line.close()

    def _told(self, received: Received) -> None:
        message = received.message
        match message["type"]:
            case "conditions":
                self._adopt(message["backends"])
            case "address":
                _, backend = self._find(message["backend"])
                backend.lanes.address = (socket.AddressFamily(message["family"]), tuple(message["address"]))
            case "minted":
                for keepsake in message["keepsakes"]:
                    self._worker.mints[message["listener"]].remember(keepsake)
            case "accept":
                self._worker.start()
            case "count":
                self._tell_tally()
            case "reopen":
                self._access_log.reopen()
            case "end":
                self._end.set()
            case "retire":
                self._leave(self._tell_when(self._worker.emptied))
            case "drain":
                self._leave(self._tell_when(self._worker.drain))

    def _adopt(self, backends: Mapping[str, list[Any]]) -> None:
        self._adopting = True
        for name, condition in backends.items():
            pool, backend = self._find(name)
            pool.adopt(backend, Condition(*condition), monotonic())
        self._adopting = False

    def _find(self, name: str) -> tuple[Pool, Backend]:
        """By POOL/BACKEND."""
        pool_name, _, short = name.partition("/")
        pool = self._worker.pools[pool_name]
        backend = pool.by_name(short)
        assert backend is not None
        return pool, backend

    def _met(self, pool: Pool, backend: Backend, change: Change, reason: Reason | None, detail: str) -> None:
        if self._adopting or reason is None:
            return
        ejected = change is Change.EJECT
        self._line.tell(
            "met", backend=f"{pool.name}/{backend.name}", ejected=ejected, reason=reason.label, detail=detail
        )

    def _minted(self, listener: str, keepsake: Keepsake) -> None:
        self._line.tell("minted", listener=listener, keepsakes=[keepsake])

    def _leave(self, emptying: Coroutine[object, object, None]) -> None:
        """Accept what waits and then no more; `emptying` goes on until nobody is connected."""
        self._worker.retire()
        for sock in self._sockets.values():
            sock.close()
        if self._emptying is not None:
            self._emptying.cancel()
        self._emptying = tasks.start(emptying, name="emptying")

    async def _tell_when(self, emptied: Callable[[], Awaitable[bool]]) -> None:
        await emptied()
        self._line.tell("empty")

    def _deserted(self) -> None:
        """The generation is gone, and another one will accept: let everybody finish, and end."""
        self._leave(self._finish())

    async def _finish(self) -> None:
        patience = self._config.drain_timeout * PATIENCE
        await self._worker.emptied(patience)
        await self._worker.drain(self._config.drain_timeout - patience)
        self._end.set()

    async def _keep_telling(self) -> None:
        while True:
            self._tell_tally()
            await asyncio.sleep(REPORT_EVERY)

    def _tell_tally(self) -> None:
        counted = tally.take(self._worker, self._access_log)
        for backend in counted["backends"].values():
            backend["ejections"] = 0  # the generation counts them, wherever they were decided
        self._line.tell("tally", tally=counted)
