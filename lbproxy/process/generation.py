"""One version of the configuration, served: the control plane and, with one worker, the data path, on one loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack

from lbproxy.config import Config
from lbproxy.control import tasks
from lbproxy.control.log import event
from lbproxy.errors import StartError
from lbproxy.process.channel import Message
from lbproxy.process.handover import Inherited
from lbproxy.process.headline import Headline
from lbproxy.process.plane import Plane
from lbproxy.process.upstream import Upstream
from lbproxy.process.worker import PATIENCE

log = logging.getLogger(__name__)

REPORT_EVERY = 1.0
"""Seconds between two tallies, and headlines, of a generation that drains."""


REPLACE_EVERY = 5.0
"""Seconds between two attempts to be replaced, of a generation that has lost its nursery."""


class Generation:
    """From its sockets to a clean end."""

    def __init__(self, config: Config, inherited: Inherited) -> None:
        """The sockets and the channel are closed in the end."""
        self._config = config
        self._number = inherited.number
        self._inherited = inherited
        self._handed_over = False
        self._signalled = self._replaced = False
        self._plane: Plane
        self._upstream: Upstream
        self._headline: Headline
        self._stop = asyncio.Event()  # accept no more, let requests finish
        self._hurry = asyncio.Event()  # wait for no idle connection
        self._end = asyncio.Event()  # now

    def __repr__(self) -> str:
        return f"<generation {self._number} of {self._config.server_url}>"

    async def serve(self) -> None:
        """Start, serve, drain. Returns when everything is closed."""
        self._watch_signals()
        inherited = self._inherited
        orders = {
            "export": self._export,
            "ping": lambda _: self._upstream.tell("alive"),
            "retire": lambda _: self._retired(),
            "drain": lambda _: self._drain_now(),
            "end": lambda _: self._interrupted(),
            "reopen": lambda _: self._plane.reopen_log(),
            "relayed": self._relayed,
        }
        self._plane = Plane(
            self._config,
            inherited.sockets,
            inherited.secret,
            inherited.state,
            inherited.nursery,
            self._barren,
        )
        self._upstream = Upstream(inherited.channel, orders, self._alone)
        self._headline = Headline(
            self._plane.worker.pools.values(), lambda text: self._upstream.tell("status", text=text)
        )
        try:
            async with AsyncExitStack() as stack:
                stack.callback(self._close_sockets)
                await self._start(stack)
                await self._stop.wait()
                await self._drain()
            self._tell_tally()
        except StartError as error:
            self._upstream.tell("failed", problems=str(error).splitlines())
            raise
        finally:
            self._upstream.close()
        event(log, logging.INFO, "stopped", generation=self._number)

    async def _start(self, stack: AsyncExitStack) -> None:
        plane, first = self._plane, self._inherited.state is None
        await plane.start(stack)
        if first:  # later ones leave that to the one before them until they are ready
            await self._accept(stack)
        await self._first_round()
        if self._stop.is_set():
            return
        if not first:
            await self._accept(stack)
        plane.state = "serving"
        self._headline.serve()
        # What is there now stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        self._upstream.tell("ready")
        if first and self._number == 1:
            print(f"ready: {self._config.server_url}", file=sys.stderr, flush=True)

    async def _accept(self, stack: AsyncExitStack) -> None:
        self._plane.accept()
        await self._plane.open_admin(stack, self._inherited.admin, self._upstream.reload, self._drained)
        if self._inherited.health is not None:
            await self._plane.open_health(self._inherited.health)

    async def _first_round(self) -> None:
        """Wait until every backend has had its first probe, or somebody wants to stop."""
        await _first(self._plane.first_round(), self._stop.wait())

    async def _drain(self) -> None:
        """Let everybody finish. Who is replaced has time: who is connected and idle may ask once more."""
        plane, within = self._plane, self._config.drain_timeout
        plane.state = "draining"
        event(log, logging.INFO, "draining", connections=plane.data_path.connections, within=within)
        deadline = time.monotonic() + within
        reports = tasks.start(self._keep_telling(), name="tallies")
        retiring = asyncio.ensure_future(self._retire(within * PATIENCE))
        await asyncio.sleep(0)  # it has accepted what waited: from here on new clients are refused, not left hanging
        self._close_sockets()
        await _first(retiring, self._hurry.wait())
        await _first(plane.data_path.drain(deadline - time.monotonic()), self._end.wait())
        reports.cancel()
        if plane.data_path.connections:
            event(log, logging.WARNING, "connections_cut", connections=plane.data_path.connections)

    async def _retire(self, patience: float) -> None:
        self._plane.data_path.retire()
        if self._replaced:
            await self._plane.close_admin()  # who serves is the one to ask for the status
        await self._plane.data_path.emptied(patience)

    def _close_sockets(self) -> None:
        for sock in self._inherited.sockets.values():
            sock.close()

    # --- what the master, and other generations, tell

    def _export(self, _: Message) -> None:
        """The next generation is about to start."""
        self._handed_over = True
        self._upstream.tell("state", state=self._plane.export(self._number))

    def _relayed(self, message: Message) -> None:
        told = message["message"]
        match told["type"]:
            case "tally":
                self._plane.ledger.told(message["generation"], told["tally"])
            case "gone":
                self._plane.ledger.gone(message["generation"])
            case "order":
                self._plane.obey(told["pool"], told["backend"], told["draining"])

    def _drained(self, pool: str, backend: str, draining: bool) -> None:
        """An operator gave an order: a generation that has what this one knew has to hear of it too."""
        if self._handed_over:
            self._upstream.relay("order", pool=pool, backend=backend, draining=draining)

    async def _keep_telling(self) -> None:
        while True:
            self._tell_tally()
            self._headline.drain(self._plane.data_path.connections)
            await asyncio.sleep(REPORT_EVERY)

    def _tell_tally(self) -> None:
        self._upstream.relay("tally", tally=self._plane.ledger.own())

    # --- the end

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._terminated)
        for number in (signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(number, self._interrupted)

    def _terminated(self) -> None:
        """TERM drains; a second one ends at once. One that the master got too comes from there as well: as orders."""
        if self._signalled:
            self._end.set()
        self._signalled = True
        self._drain_now()

    def _retired(self) -> None:
        """Another generation accepts."""
        self._replaced = True
        self._stop.set()

    def _drain_now(self) -> None:
        self._hurry.set()
        self._stop.set()

    def _interrupted(self) -> None:
        self._hurry.set()
        self._stop.set()
        self._end.set()

    def _barren(self) -> None:
        """The nursery is gone, and workers that die would not be replaced: the next generation has one."""
        if not self._stop.is_set():
            event(log, logging.CRITICAL, "nursery_lost", generation=self._number)
            tasks.start(self._be_replaced(), name="replacement")

    async def _be_replaced(self) -> None:
        """Try it until it succeeds: the workers that are there serve on."""
        while not self._stop.is_set() and await self._upstream.reload():
            if self._plane.state == "starting":
                self._interrupted()
            await asyncio.sleep(REPLACE_EVERY)

    def _alone(self) -> None:
        """The master is gone, and with it whoever could replace or end this generation."""
        event(log, logging.CRITICAL, "master_lost", generation=self._number)
        self._drain_now()


async def _first(*awaited: Coroutine[object, object, object] | asyncio.Future[None]) -> None:
    """Wait for the first of them, and cancel the others."""
    futures = [asyncio.ensure_future(one) for one in awaited]
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
    for future in futures:
        future.cancel()
