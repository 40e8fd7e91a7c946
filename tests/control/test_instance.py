from __future__ import annotations

from lbproxy.control.instance import members, order_name, title
from tests.control.sample import ONE, TWO, backend


def test_its_backends_in_order() -> None:
    assert members(ONE) == [{"pool": "connectors", "backend": backend("c1")}]
    assert [(one["pool"], one["backend"]["state"]) for one in members(TWO)] == [("connectors", "up"), ("raw", "down")]


def test_it_is_asked_for_again_by_a_name_that_means_the_same() -> None:
    assert (order_name(ONE), order_name(TWO)) == ("connectors/c1", "c1")


def test_people_see_its_pools() -> None:
    assert (title(ONE), title(TWO)) == ("connectors/c1", "c1 (pools connectors, raw)")
