"""What a window has is the difference of two readings; the time is the test's."""

from __future__ import annotations

import random

import pytest

from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Rules
from lbproxy.balance.member import Member
from lbproxy.balance.pool import Pool
from lbproxy.control.snapshot import RecentView
from lbproxy.status.counters import Counters, total, waits
from lbproxy.status.windows import EVERY, NOTHING, Windows

TICK = 0.1


def counts(backend: Backend) -> Counters:
    """What windows read of it."""
    responses = {f"{first}xx": backend.responses[first] for first in (2, 5)}
    return {"first_byte": {**waits(backend.latency)}, "responses": responses}


class Balancer:
    """A pool whose backends answer when the test says so, looked at ten times a second."""

    def __init__(self, *names: str) -> None:
        backends = [Backend(name, f"http://{name}:80") for name in names]
        self.pool = Pool("connectors", backends, Rules(), "refuse")
        self.reads = 0
        self.ended: Counters = {}  # what processes have counted that are gone
        self.windows = Windows({"connectors": self.pool}, self.counted)
        self.now = 1000.0

    def counted(self, pool: Pool, backend: Backend) -> Counters:
        self.reads += 1
        return total([counts(backend), self.ended])

    def replace(self, name: str) -> None:
        """Another backend has its name from now on."""
        self.pool.leave(name)
        self.pool.join(Member(name, "http://elsewhere:80"))

    def answers(self, times: int, seconds: float, status: int = 200, name: str = "c1") -> None:
        backend = self.pool.by_name(name)
        assert backend is not None
        for _ in range(times):
            backend.latency.add(seconds)
            backend.count_response(status)

    def passes(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK)):
            self.windows.tick(self.now)
            self.now += TICK

    def recent(self, name: str = "c1") -> RecentView:
        backend = self.pool.by_name(name)
        assert backend is not None
        return self.windows.of(self.pool, backend, total([counts(backend), self.ended]), self.now)


def test_a_window_has_what_happened_in_it() -> None:
    balancer = Balancer("c1")
    balancer.answers(1000, 5.0, 500)  # before anybody looked
    balancer.passes(1)
    balancer.answers(90, 0.012)
    balancer.answers(10, 0.84, 502)
    minute = balancer.recent()["minute"]
    assert (minute["answers"], minute["server_errors"]) == (100, 10)
    assert minute["p50"] == minute["p90"] == pytest.approx(0.012, rel=0.12)
    assert minute["p99"] == pytest.approx(0.84, rel=0.12)
    assert minute["seconds"] == pytest.approx(1.0)


def test_the_minute_forgets_what_the_ten_minutes_remember() -> None:
    balancer = Balancer("c1")
    balancer.passes(1)
    balancer.answers(50, 0.5)
    balancer.passes(80)
    balancer.answers(5, 0.02)
    recent = balancer.recent()
    assert (recent["minute"]["answers"], recent["ten_minutes"]["answers"]) == (5, 55)
    balancer.passes(700)
    assert balancer.recent()["ten_minutes"]["answers"] == 0


def test_windows_are_as_long_as_they_are_called() -> None:
    """However long it runs: the last minute is known to 10 s, the last ten to a minute. Few readings are kept."""
    balancer = Balancer("c1")
    made = random.Random(1)
    for _ in range(150):
        balancer.answers(1, made.random())
        balancer.passes(EVERY)
        recent = balancer.recent()
    assert 60 <= recent["minute"]["seconds"] < 72
    assert 600 <= recent["ten_minutes"]["seconds"] < 662
    assert recent["minute"]["answers"] == pytest.approx(recent["minute"]["seconds"] / EVERY, abs=1)
    assert recent["ten_minutes"]["answers"] == pytest.approx(recent["ten_minutes"]["seconds"] / EVERY, abs=1)
    assert max(len(readings) for readings in balancer.windows._readings.values()) <= 20


def test_before_it_was_read_there_is_nothing() -> None:
    assert Balancer("c1").recent() == {"minute": NOTHING, "ten_minutes": NOTHING}


def test_no_tick_reads_many() -> None:
    balancer = Balancer(*(f"c{number}" for number in range(500)))
    most = 0
    for _ in range(100):
        before = balancer.reads
        balancer.passes(TICK)
        most = max(most, balancer.reads - before)
    assert (balancer.reads, most) == (500, 10)


def test_another_backend_of_the_name_begins_anew() -> None:
    """Though it has more answers than the one before it, it has fewer of one kind."""
    balancer = Balancer("c1")
    balancer.answers(50, 0.1)
    balancer.answers(50, 0.1, 500)
    balancer.passes(1)
    balancer.replace("c1")
    balancer.answers(300, 0.1)
    assert balancer.recent() == {"minute": NOTHING, "ten_minutes": NOTHING}
    balancer.passes(EVERY)
    balancer.answers(7, 0.1)
    minute = balancer.recent()["minute"]
    assert (minute["answers"], minute["server_errors"]) == (7, 0)
    assert minute["seconds"] <= EVERY


def test_it_begins_anew_without_a_look_in_between() -> None:
    balancer = Balancer("c1")
    balancer.answers(100, 0.1, 500)
    balancer.passes(1)
    balancer.replace("c1")
    balancer.answers(30, 0.1, 500)
    balancer.passes(2 * EVERY)
    balancer.answers(100, 0.1, 500)
    assert balancer.recent()["minute"]["answers"] == 100
    assert balancer.recent()["ten_minutes"]["answers"] == 100


def test_what_ended_processes_have_counted_is_not_recent() -> None:
    """All that was counted of a name is there for good, also when another backend has it."""
    balancer = Balancer("c1")
    balancer.ended = {"first_byte": {"below": {"0.014": 10**6}}, "responses": {"2xx": 10**6}}
    balancer.answers(100, 0.1)
    balancer.passes(1)
    balancer.replace("c1")
    balancer.answers(30, 0.1)
    assert balancer.recent() == {"minute": NOTHING, "ten_minutes": NOTHING}
    balancer.passes(EVERY)
    balancer.answers(5, 0.1)
    assert balancer.recent()["minute"]["answers"] == 5


def test_one_that_has_left_is_forgotten() -> None:
    balancer = Balancer("c1", "c2")
    balancer.passes(1)
    balancer.pool.leave("c2")
    balancer.passes(2 * EVERY)
    assert repr(balancer.windows) == "<windows of 1 backends>"


@pytest.mark.parametrize("ended", [2**32 - 5, 2**40])
def test_counters_may_be_large(ended: int) -> None:
    balancer = Balancer("c1")
    balancer.ended = {"first_byte": {"below": {"0.014": ended}}, "responses": {"2xx": ended, "5xx": ended}}
    balancer.passes(1)
    balancer.answers(10, 0.3, 500)
    minute = balancer.recent()["minute"]
    assert (minute["answers"], minute["server_errors"]) == (10, 10)
    assert minute["p50"] == pytest.approx(0.3, rel=0.12)


def test_a_bucket_of_another_version_counts_as_the_one_that_has_it() -> None:
    balancer = Balancer("c1")
    balancer.passes(1)
    balancer.ended = {"first_byte": {"below": {"0.3": 3}}, "responses": {"2xx": 3}}
    assert balancer.recent()["minute"]["p99"] == pytest.approx(0.3, rel=0.12)
