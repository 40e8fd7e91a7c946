"""What generations before this one have counted."""

from __future__ import annotations

import pytest

from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Rules
from lbproxy.balance.member import Member
from lbproxy.balance.pool import Pool
from lbproxy.status.counter_history import CounterHistory
from lbproxy.status.counters import Counters
from tests.status.test_counters import counted


@pytest.fixture
def pool() -> Pool:
    return Pool("connectors", [Backend("c1", "http://127.0.0.1:80")], Rules())


def own() -> list[Counters]:
    return [counted(connections=0, requests=100)]


def requests(history: CounterHistory) -> tuple[int, int]:
    """Of all generations; and connections."""
    listener = history.total()["listeners"]["login"]
    return listener["requests"], listener["connections"]


def test_counts_of_a_generation_that_drains_are_replaced_by_its_next_ones() -> None:
    history = CounterHistory(own)
    assert requests(history) == (100, 0)
    history.told(1, counted(requests=2))
    history.told(1, counted(requests=5))
    assert requests(history) == (105, 1)
    history.gone(1)
    history.gone(1)
    assert requests(history) == (105, 0)
    assert "0 draining" in repr(history)


def test_the_next_generation_gets_everything_and_each_count_once() -> None:
    second = CounterHistory(own)
    second.told(1, counted(requests=5))
    third = CounterHistory(own, second.accounts(2))
    assert requests(third) == (205, 1)
    third.told(1, counted(requests=6))
    third.told(2, counted(requests=101))
    assert requests(third) == (207, 2)
    third.gone(1)
    third.gone(2)
    assert requests(CounterHistory(own, third.accounts(3))) == (307, 0)


def test_a_backend_alone_has_everything_too() -> None:
    history = CounterHistory(own)
    history.told(1, counted(requests=5))
    history.told(2, counted(requests=7))
    history.gone(1)
    found = history.of_backend("connectors/c1", [{"requests": 2}, {"requests": 3, "ejections": 1}])
    assert (found["requests"], found["ejections"], found["active"]) == (17, 1, 1)
    assert history.of_backend("connectors/other", [{"requests": 2}]) == {"requests": 2}


def test_all_processes_of_a_generation_count() -> None:
    history = CounterHistory(lambda: [*own(), *own()])
    assert requests(history) == (200, 0)
    assert history.own()["listeners"]["login"]["requests"] == 200
    assert requests(CounterHistory(own, history.accounts(1))) == (300, 0)


def test_counters_of_a_backend_that_left_begin_at_0_when_it_comes_back(pool: Pool) -> None:
    """A series that goes down to what is not 0 looks to Prometheus as if all of that had happened at once."""
    first = CounterHistory(own)
    first.told(1, counted(requests=5))
    first.told(2, counted(requests=7))
    first.gone(1)
    history = CounterHistory(own, first.accounts(3))
    history.follow([pool])
    assert history.of_backend("connectors/c1", [])["requests"] == 5 + 7 + 100
    pool.leave("c1")
    pool.join(Member("c1", "http://127.0.0.1:81"))
    assert history.of_backend("connectors/c1", [{"requests": 1}]) == {"requests": 1}
    history.told(2, counted(requests=8))
    history.gone(2)
    assert history.of_backend("connectors/c1", [{"requests": 1}]) == {"requests": 1}
    assert history.total()["listeners"]["login"]["requests"] == 100 + 100 + 5 + 8, "listeners stay"


def test_of_backends_that_are_in_no_pool_nothing_is_kept(pool: Pool) -> None:
    first = CounterHistory(own)
    first.told(1, counted(requests=5))
    first.gone(1)
    history = CounterHistory(list, first.accounts(2))
    assert history.total()["backends"].keys() == {"connectors/c1", "connectors/gone"}
    history.follow([pool])
    assert history.total()["backends"].keys() == {"connectors/c1"}


def test_what_all_have_heard_of_before_they_counted() -> None:
    second = CounterHistory(own)
    assert second.heard(9) == 9
    third = CounterHistory(own, second.accounts(2))
    assert third.heard(9) is None, "the one before has not said anything yet"
    third.told(2, counted(requests=5), 7)
    assert (third.heard(9), third.heard(6)) == (7, 6)
    third.told(1, counted(requests=5))
    assert third.heard(9) == 7, "one without a fleet is not waited for"
    third.gone(2)
    assert third.heard(9) == 9


def test_workers_of_a_killed_generation_count_until_they_end() -> None:
    """What they have is what it told last; they hear of no order, so none waits for them to say so."""
    history = CounterHistory(own)
    history.told(1, counted(requests=5), orders=3)
    history.killed(1)
    history.killed(2)  # which has told nothing
    assert (history.orphans, history.heard(7), requests(history)) == (2, 7, (105, 1))
    history.gone(1)
    history.gone(2)
    assert (history.orphans, requests(history)) == (0, (105, 0))
