"""One version of the configuration, served: the control plane and, with one worker, the data path, on one loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import time
from contextlib import AsyncExitStack

from lbproxy.balance.operators import Said
from lbproxy.config import Config
from lbproxy.control import tasks
from lbproxy.control.log import announce, event
from lbproxy.errors import StartError
from lbproxy.process import memory
from lbproxy.process.generation.control_plane import ControlPlane
from lbproxy.process.generation.handover import StartInputs
from lbproxy.process.generation.master_channel import MasterChannel
from lbproxy.process.generation.status_line import StatusLine, in_rotation
from lbproxy.process.ipc.master_messages import (
    BETWEEN_GENERATIONS,
    Alive,
    Drain,
    End,
    Export,
    Failed,
    Gone,
    Leave,
    LogFrom,
    Logged,
    Operated,
    Order,
    Orphaned,
    Ping,
    Ready,
    Relayed,
    ReloadFailed,
    Reopen,
    Retire,
    Signal,
    State,
    Status,
    Tally,
    ToGeneration,
)
from lbproxy.runtime.data_path import PATIENCE

log = logging.getLogger(__name__)

REPORT_EVERY = 1.0
"""Seconds between two reports of its counters, and of its status line, by a generation that drains."""


REPLACE_EVERY = 5.0
"""Seconds between two attempts to be replaced, of a generation that has lost its forker."""


class Generation:
    """From its sockets to a clean end."""

    def __init__(self, config: Config, inherited: StartInputs) -> None:
        """The sockets and the channel are closed in the end."""
        self._config = config
        self._number = inherited.number
        self._inherited = inherited
        self._handed_over = False
        self._signalled = self._replaced = False
        self._control_plane: ControlPlane
        self._master: MasterChannel
        self._status_line: StatusLine
        self._stop = asyncio.Event()  # accept no more, let requests finish
        self._hurry = asyncio.Event()  # wait for no idle connection
        self._end = asyncio.Event()  # now

    def __repr__(self) -> str:
        return f"<generation {self._number} of {self._config.server_url}>"

    async def serve(self) -> None:
        """Start, serve, drain. Returns when everything is closed."""
        self._watch_signals()
        inherited = self._inherited
        self._control_plane = ControlPlane(self._config, inherited, self._barren)
        self._control_plane.leaving.changed = self._left
        self._master = MasterChannel(inherited.channel, self._told, self._alone)
        self._control_plane.log_level.tell_master = lambda level: self._master.send(LogFrom(level))
        self._status_line = StatusLine(
            self._control_plane.model.pools.values(),
            lambda text: self._master.send(Status(text)),
            self._control_plane.served.remark,
        )
        if self._control_plane.supervisor is not None:
            self._control_plane.supervisor.logged = self._control_plane.lately.of_worker
        try:
            async with AsyncExitStack() as stack:
                stack.callback(self._close_sockets)
                await self._start(stack)
                await self._stop.wait()
                await self._leave()
                await self._drain()
            self._tell_counters()
            self._control_plane.lately.finish()
        except StartError as error:
            self._master.send(Failed(str(error).splitlines()))
            raise
        finally:
            self._master.close()
        event(log, logging.INFO, "stopped", generation=self._number)

    async def _start(self, stack: AsyncExitStack) -> None:
        control_plane, first = self._control_plane, self._inherited.state is None
        await control_plane.start(stack)
        if first:  # later ones leave that to the one before them until they are ready
            await self._accept(stack)
        await self._first_round()
        if self._stop.is_set():
            return
        if not first:
            await self._accept(stack)
        control_plane.served.state = "serving"
        if self._inherited.origin.replaces:
            control_plane.served.reloaded([], time.time())
        self._status_line.serve()
        # What is there now stays: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        if self._config.worker_count == 1:  # several share most of their memory
            memory.collapse()
        memory.release_code()
        self._master.send(Ready())
        if first and self._number == 1:
            inside = in_rotation(control_plane.model.pools.values())
            announce(f"ready: {self._config.server_url} ({inside})")

    async def _accept(self, stack: AsyncExitStack) -> None:
        self._control_plane.accept()
        await self._control_plane.open_admin(stack, self._inherited.admin, self._master.reload, self._operated)
        if self._inherited.health is not None:
            await self._control_plane.open_health(self._inherited.health)
        if self._inherited.metrics is not None:
            await self._control_plane.open_metrics(self._inherited.metrics)
        if self._inherited.web is not None:
            self._control_plane.open_web(self._inherited.web)

    async def _first_round(self) -> None:
        """Wait until every backend has had its first probe, or a stop is wanted."""
        await tasks.first(self._control_plane.first_round(), self._stop.wait())

    async def _leave(self) -> None:
        """Before lbproxy ends, and while this host still serves: its virtual addresses move to another host."""
        if self._control_plane.served.state == "serving" and not self._replaced:
            await tasks.first(self._control_plane.leaving.finish(), self._end.wait())

    async def _drain(self) -> None:
        """Let requests finish. After a replacement there is time: idle connections may send one more request."""
        control_plane, within = self._control_plane, self._config.drain_timeout
        if not self._replaced:  # else lbproxy as a whole serves, and this generation says so
            control_plane.served.state = "draining"
        event(log, logging.INFO, "draining", connections=control_plane.serving.connections, within=within)
        deadline = time.monotonic() + within
        reports = tasks.start(self._keep_telling(), name="tallies")
        retiring = asyncio.ensure_future(self._retire(within * PATIENCE))
        await asyncio.sleep(0)  # it has accepted what waited: from here on new clients are refused, not left hanging
        self._close_sockets()
        await tasks.first(retiring, self._hurry.wait())
        await tasks.first(control_plane.serving.drain(deadline - time.monotonic()), self._end.wait())
        reports.cancel()
        if control_plane.serving.connections:
            event(log, logging.WARNING, "connections_cut", connections=control_plane.serving.connections)

    async def _retire(self, patience: float) -> None:
        self._control_plane.serving.retire()
        if self._replaced:
            await self._control_plane.close_admin()  # the serving generation answers for the status
            self._control_plane.served.state = "draining"
        await self._control_plane.serving.emptied(patience)

    def _close_sockets(self) -> None:
        for sock in self._inherited.sockets.values():
            sock.close()

    # --- what the master, and other generations, tell

    def _told(self, message: ToGeneration) -> None:
        match message:
            case Export():
                self._export()
            case Ping():
                self._master.send(Alive())
            case Retire():
                self._retired()
            case Drain():
                self._drain_now()
            case End():
                self._interrupted()
            case Reopen():
                self._control_plane.reopen_log()
            case Relayed():
                self._relayed(message)
            case ReloadFailed():  # this generation goes on serving
                self._control_plane.served.reloaded(message.problems, message.ended)
                self._status_line.update()
            case Logged(events):
                self._control_plane.lately.of_others(events)

    def _export(self) -> None:
        """The next generation is about to start."""
        self._handed_over = True
        self._master.send(State(dict(self._control_plane.export())))
        self._control_plane.lately.hand_over(self._master.relay_events)
        if self._control_plane.leaving.active:
            self._master.relay(Leave(True))

    def _relayed(self, message: Relayed) -> None:
        match BETWEEN_GENERATIONS.from_fields(message.message):
            case Tally(tally, orders):
                self._control_plane.counter_history.told(message.generation, tally, orders)
            case Gone():
                self._control_plane.counter_history.gone(message.generation)
            case Orphaned():
                self._control_plane.counter_history.killed(message.generation)
            case Operated(pool, name, said, given):
                self._control_plane.hear(pool, name, Said.decode(said), given)
            case Leave(leaving):
                self._control_plane.leaving.adopt(leaving)
                self._status_line.update()
            case Order(pool, backend, draining):
                self._control_plane.obey(pool, backend, draining)
            case Logged(events):
                self._control_plane.lately.of_others(events)

    def _operated(self, pool: str, name: str, said: Said) -> None:
        """An operator has said something: the next generation, which knows what this one knew, and old ones hear it."""
        fleet = self._control_plane.fleet
        given = None if fleet is None else fleet.given(pool, name)
        self._master.relay(Operated(pool, name, said.encode(), given))

    def _left(self, leaving: bool) -> None:
        """The same of an order to leave."""
        self._status_line.update()
        if self._handed_over:
            self._master.relay(Leave(leaving))

    async def _keep_telling(self) -> None:
        while True:
            self._tell_counters()
            self._status_line.drain(self._control_plane.serving.connections)
            await asyncio.sleep(REPORT_EVERY)

    def _tell_counters(self) -> None:
        fleet = self._control_plane.fleet
        orders = None if fleet is None else fleet.applied
        self._master.relay(Tally(self._control_plane.counter_history.own(), orders))

    # --- the end

    def _watch_signals(self) -> None:
        """Signals are for the master. One that comes here was sent to the wrong process, or to the whole group."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            loop.add_signal_handler(number, self._pass_on, number)
        loop.add_signal_handler(signal.SIGTERM, self._terminated)
        for number in (signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(number, self._told_to_end, number)

    def _pass_on(self, number: signal.Signals) -> None:
        self._master.send(Signal(number))

    def _pass_on_end(self, number: signal.Signals) -> None:
        """Who ends the generation that serves wants no other one in its place. One beside it may end alone."""
        starting = self._control_plane.served.state == "starting"
        if not (self._replaced or (starting and self._inherited.origin.replaces)):
            self._pass_on(number)

    def _terminated(self) -> None:
        """TERM drains; a second one ends this generation at once. The master's own orders come as messages."""
        if self._signalled:
            self._end.set()
        self._signalled = True
        self._pass_on_end(signal.SIGTERM)
        self._drain_now()

    def _told_to_end(self, number: signal.Signals) -> None:
        """INT and QUIT end at once."""
        self._pass_on_end(number)
        self._interrupted()

    def _retired(self) -> None:
        """Another generation accepts."""
        self._replaced = True
        self._control_plane.replaced()
        self._stop.set()

    def _drain_now(self) -> None:
        self._hurry.set()
        self._stop.set()

    def _interrupted(self) -> None:
        self._hurry.set()
        self._stop.set()
        self._end.set()

    def _barren(self) -> None:
        """The forker is gone, and workers that die would not be replaced: the next generation has one."""
        if not self._stop.is_set():
            event(log, logging.CRITICAL, "forker_lost", generation=self._number)
            tasks.start(self._be_replaced(), name="replacement")

    async def _be_replaced(self) -> None:
        """Try it until it succeeds: the workers that are there serve on."""
        while not self._stop.is_set() and await self._master.reload():
            if self._control_plane.served.state == "starting":
                self._interrupted()
            await asyncio.sleep(REPLACE_EVERY)

    def _alone(self) -> None:
        """The master is gone, and no other process can replace or end this generation."""
        event(log, logging.CRITICAL, "master_lost", generation=self._number)
        self._drain_now()
