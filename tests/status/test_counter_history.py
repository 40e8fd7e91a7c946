"""What generations before this one have counted."""

from __future__ import annotations

from lbproxy.status.counter_history import CounterHistory
from lbproxy.status.counters import Counters
from tests.control import sample
from tests.status.test_counters import counted


def own() -> Counters:
    return counted(connections=0, requests=100)


def requests(counter_history: CounterHistory) -> tuple[int, int]:
    """More than the sample has, of the listener; and connections."""
    before, after = sample.snapshot()["listeners"][0], counter_history.complete(sample.snapshot())["listeners"][0]
    return after["requests"] - before["requests"], after["connections"] - before["connections"]


def test_counts_of_a_generation_that_drains_are_replaced_by_its_next_ones() -> None:
    counter_history = CounterHistory(own, dict)
    assert requests(counter_history) == (0, 0)
    counter_history.told(1, counted(requests=2))
    counter_history.told(1, counted(requests=5))
    assert requests(counter_history) == (5, 1)
    counter_history.gone(1)
    counter_history.gone(1)
    assert requests(counter_history) == (5, 0)
    assert "0 draining" in repr(counter_history)


def test_the_next_generation_gets_everything_and_each_count_once() -> None:
    second = CounterHistory(own, dict)
    second.told(1, counted(requests=5))
    third = CounterHistory(own, dict, second.accounts(2))
    assert requests(third) == (105, 1)
    third.told(1, counted(requests=6))
    third.told(2, counted(requests=101))
    assert requests(third) == (107, 2)
    third.gone(1)
    third.gone(2)
    assert requests(CounterHistory(own, dict, third.accounts(3))) == (207, 0)


def test_a_backend_alone_is_completed_too() -> None:
    counter_history = CounterHistory(own, dict)
    counter_history.told(1, counted(requests=5))
    found = counter_history.complete_backend({"pool": "connectors", "backend": sample.backend("c1")})
    assert found["backend"]["requests"] == sample.backend("c1")["requests"] + 5


def test_workers_count_as_this_generation() -> None:
    counter_history = CounterHistory(dict, own)
    assert requests(counter_history) == (100, 0)
    assert requests(CounterHistory(dict, dict, counter_history.accounts(1))) == (100, 0)
