"""What generations before this one have counted."""

from __future__ import annotations

from lbproxy.status.counter_history import CounterHistory
from lbproxy.status.counters import Counters
from tests.status.test_counters import counted


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
