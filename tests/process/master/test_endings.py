from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from lbproxy.process.ipc.master_messages import GONE, ORPHANED
from lbproxy.process.ipc.messages import Fields
from lbproxy.process.ipc.reactor import Reactor
from lbproxy.process.master.endings import Endings


class Play:
    """Endings, what they have told, and real processes that hold a lifeline."""

    def __init__(self) -> None:
        self.reactor = Reactor()
        self.told: list[tuple[int, Fields]] = []
        self.endings = Endings(self.reactor, self._tell)
        self.alive: set[int] = set()

    def _tell(self, number: int, what: Fields) -> None:
        self.told.append((number, what))
        self.reactor.stop()

    def lifeline(self, *, processes: int) -> int:
        """Of a generation that is dead, and whose forks are not."""
        reading, writing = os.pipe()
        for _ in range(processes):
            if not (pid := os.fork()):
                os.close(reading)
                signal.pause()
                os._exit(0)
            self.alive.add(pid)
        os.close(writing)
        return reading

    def kill_one(self) -> None:
        os.kill(pid := self.alive.pop(), signal.SIGKILL)
        os.waitpid(pid, 0)

    def close(self) -> None:
        while self.alive:
            self.kill_one()
        self.reactor.close()


@pytest.fixture
def play() -> Iterator[Play]:
    made = Play()
    yield made
    made.close()


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_one_that_leaves_nothing_behind_is_gone(play: Play) -> None:
    lifeline = play.lifeline(processes=0)
    play.endings.ended(1, lifeline, -9)
    play.endings.ended(2, None, -9)
    assert play.told == [(1, GONE), (2, GONE)] == play.endings.news()
    assert not is_open(lifeline)
    play.endings.launched()
    assert play.endings.news() == []


def test_one_that_ended_by_itself_has_no_workers_though_its_forker_is_about_to_end(play: Play) -> None:
    lifeline = play.lifeline(processes=1)
    play.endings.ended(1, lifeline, 0)
    assert play.told == [(1, GONE)] == play.endings.news()
    assert not is_open(lifeline)


def test_one_whose_workers_go_on_is_gone_with_the_last_of_them(play: Play) -> None:
    lifeline = play.lifeline(processes=2)
    play.endings.ended(1, lifeline, -9)
    assert play.told == [(1, ORPHANED)]
    play.kill_one()
    play.endings.launched()
    assert play.endings.news() == [(1, ORPHANED)], "the next generation hears of it too"
    play.kill_one()
    play.reactor.run()
    assert play.told[1:] == [(1, GONE)] == play.endings.news()
    assert not is_open(lifeline)
    assert "0 with orphans" in repr(play.endings)
