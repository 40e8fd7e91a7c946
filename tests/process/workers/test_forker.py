"""Forks of this process that do what the test says, and the process between them and it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Collection, Iterator

import pytest

from lbproxy.process.ipc.channel import Channel
from lbproxy.process.ipc.master_messages import End, Retire
from lbproxy.process.ipc.worker_messages import (
    WITH_WORKER,
    Born,
    Count,
    Counted,
    Died,
    Fork,
    FromWorker,
    ToWorker,
)
from lbproxy.process.workers.forker import start

GenerationEnd = Channel[ToWorker, FromWorker]


class Family:
    """A forker, and the generation's ends of its channels."""

    def __init__(self, *sockets: socket.socket, foreign: Collection[socket.socket] = ()) -> None:
        self.pid, self.channel = start(_answer, sockets, foreign)
        self._workers: list[GenerationEnd] = []

    def __enter__(self) -> Family:
        return self

    def __exit__(self, *_: object) -> None:
        """The generation ends: so does everybody."""
        self.channel.close()
        for worker in self._workers:
            worker.close()
        assert os.waitpid(self.pid, 0)[1] == 0

    def fork(self, index: int) -> tuple[int, GenerationEnd]:
        """A new worker's process id, and the channel to it."""
        self.channel.send(Fork(index))
        born, [descriptor] = self.channel.wait()
        assert isinstance(born, Born)
        assert born.index == index
        self._workers.append(Channel(socket.socket(fileno=descriptor), WITH_WORKER))
        return born.pid, self._workers[-1]

    def hears_of(self, pid: int) -> Died:
        """The next message, which is that `pid` has ended."""
        message = self.channel.wait().message
        assert isinstance(message, Died)
        assert message.pid == pid
        return message


def _answer(index: int, channel: Channel[FromWorker, ToWorker]) -> int:
    """A worker: answers with its index, and ends with status 3 when it is told to, or when nobody is there."""
    try:
        while True:
            message = channel.wait().message
            if isinstance(message, End):
                return 3
            channel.send(Counted({"index": index}, {}))
            channel.flush()
    except EOFError:
        return 0


def ask(channel: GenerationEnd) -> int:
    """The index of the worker at the other end."""
    channel.send(Count(1))
    counted = channel.wait().message
    assert isinstance(counted, Counted)
    return int(counted.tally["index"])


def connect_for_long(address: tuple[str, int]) -> None:
    for _ in range(1000):
        socket.create_connection(address).close()


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def test_workers_are_forked_one_after_the_other() -> None:
    with Family() as family:
        workers = [family.fork(index) for index in range(3)]
        assert [ask(channel) for _, channel in workers] == [0, 1, 2]
        assert len({pid for pid, _ in workers} | {family.pid, os.getpid()}) == 5
        for pid, channel in workers:
            channel.close()
            assert family.hears_of(pid).status == 0


def test_the_end_of_a_worker_is_told_and_another_one_comes() -> None:
    with Family() as family:
        (killed, first), (ended, second) = family.fork(0), family.fork(1)
        os.kill(killed, signal.SIGKILL)
        assert family.hears_of(killed) == Died(0, killed, -signal.SIGKILL)
        with pytest.raises(EOFError):
            first.wait()
        second.send(End())
        assert family.hears_of(ended).status == 3
        _, third = family.fork(0)
        assert ask(third) == 0


def test_it_ends_with_the_generation_once_its_workers_have() -> None:
    with Family() as family:
        pid, worker = family.fork(0)
        family.channel.close()
        assert ask(worker) == 0  # it finishes what it does
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_signals_to_the_whole_group_do_not_end_it() -> None:
    with Family() as family:
        family.fork(0)
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
            os.kill(family.pid, number)
        family.fork(1)


def test_who_has_retired_holds_no_socket_and_forks_nobody(listening: socket.socket) -> None:
    with Family(listening) as family:
        pid, worker = family.fork(0)
        family.channel.send(Retire())
        family.channel.send(Fork(1))
        worker.send(End())
        family.hears_of(pid)  # and of no birth before
        address = listening.getsockname()
        listening.close()
        with pytest.raises(ConnectionRefusedError):
            connect_for_long(address)


def test_what_is_the_generations_alone_nobody_else_has_open(listening: socket.socket) -> None:
    with Family(foreign=[listening]) as family:
        family.fork(0)
        address = listening.getsockname()
        listening.close()
        with pytest.raises(ConnectionRefusedError):
            connect_for_long(address)
