"""The process that forks a generation's workers, for as long as the generation lives.

A worker is a fork and no program of its own, so that all share the memory of what is imported and read. The generation
forks the forker before it has a loop or a thread, which no fork survives; the forker never has either, so it can
fork another worker whenever one dies.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, NoReturn

from lbproxy.process import memory
from lbproxy.process.ipc.channel import Channel, Received
from lbproxy.process.ipc.master_messages import Retire
from lbproxy.process.ipc.reactor import Reactor
from lbproxy.process.ipc.worker_messages import (
    WITH_FORKER,
    WITH_WORKER,
    Born,
    Died,
    Fork,
    FromForker,
    FromWorker,
    ToForker,
    ToWorker,
)

WorkerEnd = Channel[FromWorker, ToWorker]
"""A worker's end of the channel to its generation."""

Work = Callable[[int, WorkerEnd], int]
"""What a worker does: given its index and its end of the channel to the generation; returns its exit status."""


def start(
    work: Work, sockets: Collection[socket.socket], foreign: Collection[socket.socket | Channel[Any, Any]] = ()
) -> tuple[int, Channel[ToForker, FromForker]]:
    """Fork a forker whose workers do `work`: its process id, and the generation's end of the channel to it.

    `Fork` is answered with `Born`, and the worker's end with `Died`. After `Retire` no worker is forked any more, and
    `sockets` are closed: a socket listens for as long as a process has it open. `foreign` are what only the generation
    may have open.
    """
    ours, theirs = Channel.pair(WITH_FORKER)
    pid = os.fork()
    if pid == 0:
        for one in (ours, *foreign):
            one.close()
        _live(Forker(theirs, work, sockets))
    theirs.close()
    return pid, ours


def _live(forker: Forker) -> NoReturn:
    """In the child: never back into what the generation was doing."""
    status = 1
    try:
        forker.run()
        status = 0
    finally:
        os._exit(status)


class Forker:
    """`channel`: to the generation; the forker ends when that is closed and its workers are gone."""

    def __init__(
        self, channel: Channel[FromForker, ToForker], work: Work, sockets: Collection[socket.socket] = ()
    ) -> None:
        self._sockets = sockets
        self._channel = channel
        self._work = work
        self._reactor = Reactor()
        self._workers: dict[int, int] = {}  # index by process id
        self._retired = self._deserted = False

    def __repr__(self) -> str:
        return f"<forker of {sorted(self._workers.values())}>"

    def run(self) -> None:
        """Until the generation is gone."""
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the generation says when
        self._reactor.signals([signal.SIGCHLD], lambda _: self._reap())
        self._reactor.watch(self._channel, self._told, self._desert)
        memory.release_code()
        self._reactor.run()

    def _told(self, received: Received[ToForker]) -> None:
        match received.message:
            case Retire():
                self._retire()
            case Fork(index) if not self._retired:
                self._fork(index)

    def _retire(self) -> None:
        self._retired = True
        for sock in self._sockets:
            sock.close()

    def _fork(self, index: int) -> None:
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._become_worker(index, Channel(theirs, WITH_WORKER.reverse()))
        theirs.close()
        self._workers[pid] = index
        self._channel.send(Born(index, pid), [ours.fileno()])
        ours.close()

    def _become_worker(self, index: int, channel: WorkerEnd) -> NoReturn:
        status = 1
        try:
            self._reactor.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            status = self._work(index, channel)
        finally:
            os._exit(status)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended[0], os.waitstatus_to_exitcode(ended[1])
                index = self._workers.pop(pid)
                self._channel.send(Died(index, pid, status))
        self._end_if_alone()

    def _desert(self) -> None:
        """The generation is gone."""
        self._deserted = True
        self._retire()
        self._end_if_alone()

    def _end_if_alone(self) -> None:
        if self._deserted and not self._workers:
            self._reactor.stop()
