"""Forks of this process that do what the test says, and the process between them and it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Collection, Iterator

import pytest

from lbproxy.process.ipc.channel import Channel, Received
from lbproxy.process.workers.forker import start


class Family:
    """A forker, and the generation's ends of its channels."""

    def __init__(self, *sockets: socket.socket, foreign: Collection[socket.socket] = ()) -> None:
        self.pid, self.channel = start(_answer, sockets, foreign)
        self._workers: list[Channel] = []

    def __enter__(self) -> Family:
        return self

    def __exit__(self, *_: object) -> None:
        """The generation ends: so does everybody."""
        self.channel.close()
        for worker in self._workers:
            worker.close()
        assert os.waitpid(self.pid, 0)[1] == 0

    def fork(self, index: int) -> tuple[int, Channel]:
        """A new worker's process id, and the channel to it."""
        self.channel.send({"type": "fork", "index": index})
        born = self.channel.wait()
        assert (born.message["type"], born.message["index"]) == ("born", index)
        [descriptor] = born.descriptors
        self._workers.append(Channel(socket.socket(fileno=descriptor)))
        return born.message["pid"], self._workers[-1]

    def hears_of(self, pid: int) -> dict[str, object]:
        """The next message, which is that `pid` has ended."""
        message = self.channel.wait().message
        assert (message["type"], message["pid"]) == ("died", pid)
        return message


def _answer(index: int, channel: Channel) -> int:
    """A worker: answers with its index, and ends with the status that it is told, or when nobody is there."""
    try:
        while True:
            message = channel.wait().message
            if message["type"] == "end":
                return int(message["status"])
            channel.send({"type": "index", "index": index})
            channel.flush()
    except EOFError:
        return 0


def ask(channel: Channel) -> Received:
    channel.send({"type": "who"})
    return channel.wait()


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
        assert [ask(channel).message["index"] for _, channel in workers] == [0, 1, 2]
        assert len({pid for pid, _ in workers} | {family.pid, os.getpid()}) == 5
        for pid, channel in workers:
            channel.close()
            assert family.hears_of(pid)["status"] == 0


def test_the_end_of_a_worker_is_told_and_another_one_comes() -> None:
    with Family() as family:
        (killed, first), (ended, second) = family.fork(0), family.fork(1)
        os.kill(killed, signal.SIGKILL)
        assert family.hears_of(killed) == {"type": "died", "index": 0, "pid": killed, "status": -signal.SIGKILL}
        with pytest.raises(EOFError):
            first.wait()
        second.send({"type": "end", "status": 3})
        assert family.hears_of(ended)["status"] == 3
        _, third = family.fork(0)
        assert ask(third).message["index"] == 0


def test_it_ends_with_the_generation_once_its_workers_have() -> None:
    with Family() as family:
        pid, worker = family.fork(0)
        family.channel.close()
        assert ask(worker).message["index"] == 0  # it finishes what it does
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
        family.channel.send({"type": "retire"})
        family.channel.send({"type": "fork", "index": 1})
        worker.send({"type": "end", "status": 0})
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
