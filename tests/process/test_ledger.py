"""What generations before this one have counted."""

from __future__ import annotations

from lbproxy.process.ledger import Ledger
from lbproxy.process.tally import Tally
from tests.control import sample
from tests.process.test_tally import counted


def own() -> Tally:
    return counted(connections=0, requests=100)


def requests(ledger: Ledger) -> tuple[int, int]:
    """More than the sample has, of the listener; and connections."""
    before, after = sample.snapshot()["listeners"][0], ledger.complete(sample.snapshot())["listeners"][0]
    return after["requests"] - before["requests"], after["connections"] - before["connections"]


def test_counts_of_a_generation_that_drains_are_replaced_by_its_next_ones() -> None:
    ledger = Ledger(own, dict)
    assert requests(ledger) == (0, 0)
    ledger.told(1, counted(requests=2))
    ledger.told(1, counted(requests=5))
    assert requests(ledger) == (5, 1)
    ledger.gone(1)
    ledger.gone(1)
    assert requests(ledger) == (5, 0)
    assert "0 draining" in repr(ledger)


def test_the_next_generation_gets_everything_and_each_count_once() -> None:
    second = Ledger(own, dict)
    second.told(1, counted(requests=5))
    third = Ledger(own, dict, second.accounts(2))
    assert requests(third) == (105, 1)
    third.told(1, counted(requests=6))
    third.told(2, counted(requests=101))
    assert requests(third) == (107, 2)
    third.gone(1)
    third.gone(2)
    assert requests(Ledger(own, dict, third.accounts(3))) == (207, 0)


def test_a_backend_alone_is_completed_too() -> None:
    ledger = Ledger(own, dict)
    ledger.told(1, counted(requests=5))
    found = ledger.complete_backend({"pool": "connectors", "backend": sample.backend("c1")})
    assert found["backend"]["requests"] == sample.backend("c1")["requests"] + 5


def test_workers_count_as_this_generation() -> None:
    ledger = Ledger(dict, own)
    assert requests(ledger) == (100, 0)
    assert requests(Ledger(dict, dict, ledger.accounts(1))) == (100, 0)
