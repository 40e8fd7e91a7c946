"""The workers of a generation, as its control plane sees them: together they are its data path.

Each worker knows every backend's condition, and acts on what it sees by itself, at once; what it has seen it tells, and
what changes is told to all. So they agree after one message to the generation and one from it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import cast

from lbproxy.auth.mint import Mint
from lbproxy.balance import full_name
from lbproxy.balance.backend import Backend
from lbproxy.balance.feed import Observer
from lbproxy.balance.health import Change
from lbproxy.balance.pool import Pool
from lbproxy.control.changes import Changes
from lbproxy.control.live_connections import ConnectionsView
from lbproxy.control.log import event
from lbproxy.control.log.logged_event import LoggedEvent
from lbproxy.errors import StartError
from lbproxy.process.ipc.async_channel import AsyncChannel
from lbproxy.process.ipc.channel import Channel, Received
from lbproxy.process.ipc.master_messages import Drain, End, LogFrom, Logged, Reopen, Retire
from lbproxy.process.ipc.restart_backoff import LOUD, WINDOW, RestartBackoff
from lbproxy.process.ipc.worker_messages import (
    WITH_WORKER,
    Accept,
    Address,
    BackendsCounted,
    Born,
    ConnectionsFound,
    Count,
    Counted,
    Died,
    Empty,
    Fork,
    FromForker,
    FromWorker,
    Hold,
    Met,
    Minted,
    Release,
    TicketSecrets,
    ToForker,
    ToWorker,
    Traced,
    Unfit,
    Up,
)
from lbproxy.process.workers.handle import WorkerHandle
from lbproxy.process.workers.news import News, everything, key
from lbproxy.reasons import TABLE, Reason
from lbproxy.record import Trace
from lbproxy.status import counters
from lbproxy.status.counters import Counters
from lbproxy.status.tls_report import TlsReport, merged

log = logging.getLogger(__name__)

ANSWER_WITHIN = 0.5
"""Seconds that workers have to send their counts; the older counts of a slower one are shown."""

FOUND_WITHIN = 2.0
"""Seconds that workers have to find connections."""

END_WITHIN = 3.0
"""Seconds that workers have to end before they are killed: their access log may wait for a disk."""


LOOK_EVERY = 1.0
"""Seconds between two looks for silent workers; each worker reports its counts as often."""

STILL = 10
"""So many looks in a row without a message: such a worker serves no client."""


class WorkerSupervisor(Observer):
    """`size` `workers`, by index, that `forker` forks: the data path that the generation starts, drains and stops."""

    def __init__(
        self,
        size: int,
        forker: Channel[ToForker, FromForker],
        pools: Mapping[str, Pool],
        mints: Mapping[str, Mint],
        lost: Callable[[], None],
    ) -> None:
        """pools: the generation's, which decide. mints: its, by listener, which remember for workers to come.

        lost: called when no worker can be forked any more. Call it on the running loop.
        """
        self.traced: Callable[[list[Trace]], object] = lambda _: None  # gets what workers have sampled
        self.logged: Callable[[int, list[LoggedEvent]], object] = lambda index, events: None  # what a worker has logged
        self._loop = asyncio.get_running_loop()
        self._size = size
        self._pools = pools
        self._mints = mints
        self._forker = AsyncChannel(forker, self._from_forker, lost)
        self.workers: dict[int, WorkerHandle] = {}
        self._ended: Counters = {}  # what those had counted that have died
        self._addresses: dict[str, Address] = {}  # by POOL/BACKEND
        self._ticket_secrets: TicketSecrets | None = None  # None: those that workers have anyway
        self._news = News()
        self._restart_backoff = [RestartBackoff() for _ in range(size)]
        self._accepts = self._ending = False
        self._level: LogFrom | None = None  # None: as workers begin
        self._hopeless = False  # a worker ends as soon as it begins
        self._unfit = ""  # why the last one did that said so
        self._tls: dict[int, TlsReport] = {}  # by the worker's index; that of one that died, until the next one tells
        self._asked = 0  # questions until now: each has a number
        self._answers: dict[int, list[ConnectionsFound]] = {}  # by the number of the question, while it is open
        self._progress = Changes()  # whenever a worker says or becomes something
        for pool in pools.values():
            pool.observers.append(self)
        for index in range(size):
            self._forker.send(Fork(index))
        self._look_again = self._loop.call_later(LOOK_EVERY, self._look)

    def __repr__(self) -> str:
        return f"<supervisor of {len(self.workers)}>"

    # --- the data path

    @property
    def connections(self) -> int:
        """Client connections that were open when the workers counted last; none of those that are empty since."""
        counted = counters.total(worker.process for worker in self.workers.values() if not worker.empty)
        return sum(one["connections"] for one in counted.get("listeners", {}).values())

    def start(self) -> None:
        """Accept from now on."""
        self._accepts = True
        self._send_all(Accept())

    def seal(self, secrets: Sequence[bytes]) -> None:
        """See `DataPath`."""
        self._ticket_secrets = TicketSecrets([one.hex() for one in secrets])
        self._send_all(self._ticket_secrets)

    def hold(self, names: Iterable[str]) -> None:
        """See `DataPath`. A worker that is forked meanwhile serves as always."""
        self._send_all(Hold(list(names)))

    def release(self, gone: Collection[str]) -> None:
        """See `DataPath`."""
        self._send_all(Release(list(gone)))

    def retire(self) -> None:
        """Accept no more. Open connections get one more answer."""
        self._leave_sockets()
        self._send_all(Retire())

    async def drain(self, within: float | None = None) -> bool:
        """Let requests finish, and end idle connections, at most `within` seconds; False when some were cut."""
        self._leave_sockets()
        self._send_all(Drain())
        return await self.emptied(within)

    async def emptied(self, within: float | None = None) -> bool:
        """Wait until no connection is open, at most `within` seconds; whether that is so."""
        return await self._progress.until(lambda: all(worker.empty for worker in self.workers.values()), within)

    async def stop(self) -> None:
        """End everything that is still open, now, and wait for the workers' last words."""
        self._leave_sockets()
        self._send_all(End())
        await self._progress.until(lambda: all(worker.gone for worker in self.workers.values()), END_WITHIN)
        self._look_again.cancel()
        for worker in self.workers.values():
            if not worker.gone:
                worker.kill()
            worker.line.close()
        self._forker.close()

    def log_from(self, level: str) -> None:
        """Log events of that level and above, also in workers to come."""
        self._level = LogFrom(level)
        self._send_all(self._level)

    def reopen(self) -> None:
        """Open the access log again."""
        self._send_all(Reopen())

    # --- what the control plane tells and asks

    async def ready(self) -> None:
        """Wait until every worker could accept. Raises StartError if one cannot be brought up."""
        await self._progress.until(lambda: self._hopeless or self._is_complete())
        if self._hopeless:
            raise StartError(self._unfit or "workers end as soon as they are started: their log lines say why")

    def resolved(self, pool: Pool, backend: Backend, family: socket.AddressFamily, address: tuple[object, ...]) -> None:
        """`backend` has this address."""
        name = key(pool, backend)
        message = Address(name, backend.url, family, address)
        self._addresses[name] = message
        self._tell_news()  # workers have to know it before
        self._send_all(message)

    def _is_complete(self) -> bool:
        return len(self.workers) == self._size and all(worker.up for worker in self.workers.values())

    async def count(self) -> bool:
        """Have every worker tell what it has counted, after it heard what was decided until now; whether all have."""
        self._tell_news()
        self._asked += 1
        number, asked = self._asked, list(self.workers.values())
        self._send_all(Count(number))
        return await self._progress.until(
            lambda: all(one.answered >= number or one.gone for one in asked), ANSWER_WITHIN
        )

    async def ask(self, question: Callable[[int], ToWorker]) -> tuple[list[ConnectionsView], int]:
        """The answers of the workers to a question about their connections, and how many of them are late.

        question: gets the number that the answers have.
        """
        self._asked += 1
        number, asked = self._asked, list(self.workers.values())
        answers = self._answers[number] = []
        self._send_all(question(number))

        def complete() -> int:
            return sum(not answer.more for answer in answers)

        await self._progress.until(lambda: complete() >= sum(not worker.gone for worker in asked), FOUND_WITHIN)
        del self._answers[number]
        return [cast(ConnectionsView, answer.found) for answer in answers], len(asked) - complete()

    def counters(self) -> list[Counters]:
        """What each worker counted, also those that have died."""
        return [*(worker.counters for worker in self.workers.values()), self._ended]

    def tls(self) -> TlsReport:
        """What is known of TLS in the workers."""
        return merged(self._tls.values())

    # --- what workers tell

    def _from_forker(self, received: Received[FromForker]) -> None:
        match received.message:
            case Born(index, pid):
                [descriptor] = received.descriptors
                channel = Channel(socket.socket(fileno=descriptor), WITH_WORKER)
                line = AsyncChannel(channel, partial(self._told, index), partial(self._gone, index))
                self.workers[index] = WorkerHandle(pid, line)
                self._bring_up_to_date(line)
            case Died(index, _, status):
                self._died(index, status)
        self._progress.tell()

    def _bring_up_to_date(self, line: AsyncChannel[ToWorker, FromWorker]) -> None:
        """Tell a new worker what the others know."""
        line.send(everything(self._pools.values()))
        for address in self._addresses.values():
            line.send(address)
        for listener, mint in self._mints.items():
            line.send(Minted(listener, mint.minted_records()))
        if self._ticket_secrets is not None:
            line.send(self._ticket_secrets)
        if self._level is not None:
            line.send(self._level)
        if self._ending:
            line.send(End())
        elif self._accepts:
            line.send(Accept())

    def _told(self, index: int, received: Received[FromWorker]) -> None:
        worker = self.workers[index]
        worker.silent = 0
        match received.message:
            case Up():
                worker.up = True
            case Met() as met:
                self._met(met)
            case Minted() as minted:
                self._minted(worker, minted)
            case Unfit(why):
                self._unfit, self._hopeless = why, True
            case BackendsCounted() as some:
                worker.backends_counted(some)
            case Counted(_, tls) as counted:
                worker.has_counted(counted)
                self._tls[index] = cast(TlsReport, tls)
            case ConnectionsFound(number) as found:
                if number in self._answers:  # else the question has ended
                    self._answers[number].append(found)
            case Traced(traces):
                self.traced(traces)
            case Logged(events):
                self.logged(index, events)
            case Empty():
                worker.empty = True
        self._progress.tell()

    def _gone(self, index: int) -> None:
        self.workers[index].gone = True
        self._progress.tell()

    def _met(self, met: Met) -> None:
        """A worker met something on a backend. It is told what became of it, in case that it thinks otherwise."""
        pool_name, name = full_name.split(met.backend)
        pool = self._pools[pool_name]
        backend = pool.by_name(name)
        if backend is None or backend.url != met.url:
            return  # it has left meanwhile
        pool.reported(backend, met.ejected, TABLE[met.reason], time.monotonic(), met.detail)
        self._note(pool, backend)

    def _minted(self, maker: WorkerHandle, minted: Minted) -> None:
        """A worker has made certificates: no other one need make them."""
        for minted_record in minted.minted_records:
            self._mints[minted.listener].remember(minted_record)
        for worker in self.workers.values():
            if worker is not maker:
                worker.line.send(minted)

    def _died(self, index: int, status: int) -> None:
        self.workers[index].line.finish()
        worker = self.workers.pop(index)
        worker.gone = True
        self._ended = counters.total([counters.past(worker.counters), self._ended])
        if self._ending:
            return
        count, delay = self._restart_backoff[index].happened(time.monotonic())
        event(log, logging.ERROR, "worker_died", worker=index, pid=worker.pid, status=status, again_in=delay)
        if count >= LOUD:
            event(log, logging.CRITICAL, "workers_keep_dying", worker=index, deaths=count, within=WINDOW)
            self._hopeless = not worker.up
        self._loop.call_later(delay, partial(self._forker.send, Fork(index)))

    def _look(self) -> None:
        """A worker whose loop stands still is killed: what follows is what follows a death."""
        self._look_again = self._loop.call_later(LOOK_EVERY, self._look)
        for index, worker in self.workers.items():
            worker.silent += worker.up and not worker.gone
            if worker.silent == STILL:
                event(log, logging.CRITICAL, "worker_stuck", worker=index, pid=worker.pid)
                worker.kill()

    # --- what happens to the pools

    def joined(self, pool: Pool, backend: Backend) -> None:
        """See `Observer`."""
        self._tell_soon()
        self._news.joined(pool, backend)

    def left(self, pool: Pool, backend: Backend) -> None:
        """See `Observer`."""
        self._tell_soon()
        name = key(pool, backend)
        self._addresses.pop(name, None)
        self._ended.get("backends", {}).pop(name, None)  # one that comes back begins at 0
        self._news.left(pool, backend)

    def changed(self, pool: Pool, backend: Backend, change: Change | None, reason: Reason | None, detail: str) -> None:
        """See `Observer`."""
        self._note(pool, backend)

    def _note(self, pool: Pool, backend: Backend) -> None:
        """What is known of `backend` may have changed."""
        self._tell_soon()
        self._news.changed(pool, backend)

    def _tell_soon(self) -> None:
        """As soon as all that follows from it is known."""
        if not self._news:
            self._loop.call_soon(self._tell_news)

    def _tell_news(self) -> None:
        if self._news:
            self._send_all(self._news.message())

    # --- all of them

    def _leave_sockets(self) -> None:
        """No worker follows those that are there."""
        if not self._ending:
            self._ending = True
            self._forker.send(Retire())

    def _send_all(self, message: ToWorker) -> None:
        for worker in self.workers.values():
            worker.line.send(message)
