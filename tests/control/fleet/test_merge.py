from __future__ import annotations

import itertools
import json
import math

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from lbproxy.balance.member import Member
from lbproxy.balance.operators import Said
from lbproxy.balance.orders import Order, Stamp
from lbproxy.control.fleet import merge
from lbproxy.control.fleet.merge import LATEST, Clock, Given


def given(value: object, stamp: int = 1, run: str = "r", replica: str = "lb1") -> Given:
    return Given(value, stamp, run, replica, "olga", 5.0)


VALUES = {
    "drain": st.booleans(),
    "weight": st.none() | st.integers(0, 100),
    "standby": st.none() | st.booleans(),
    "member": st.none() | st.tuples(st.just("http://a:1"), st.integers(0, 9), st.booleans()).map(list),
    "from a newer version": st.integers() | st.text(max_size=3),
}
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        name: st.builds(
            Given,
            values,
            st.integers(0, 5),
            st.sampled_from(["a", "b"]),
            st.sampled_from(["lb1", "lb2"]),
            st.text(max_size=3),
            st.floats(0, 9),
        )
        for name, values in VALUES.items()
    },
)


@generated(ENTRIES, ENTRIES, ENTRIES)
def test_the_order_of_merging_does_not_matter(
    one: dict[str, Given], two: dict[str, Given], three: dict[str, Given]
) -> None:
    results = []
    for a, b, c in itertools.permutations([one, two, three]):
        results.append(merge.merged(merge.merged(a, b), c))
        results.append(merge.merged(a, merge.merged(b, c)))
    assert all(result == results[0] for result in results)
    assert merge.merged(results[0], one) == results[0], "nor does merging again"


@generated(ENTRIES)
def test_there_and_back(entry: dict[str, Given]) -> None:
    assert merge.decode("c1", json.loads(json.dumps(merge.encode(entry)))) == entry


def test_the_newest_counts_for_each_field_by_itself() -> None:
    here = {"drain": given(True, 5), "weight": given(3, 1)}
    there = {"drain": given(False, 4), "weight": given(4, 2)}
    assert merge.merged(here, there) == {"drain": given(True, 5), "weight": given(4, 2)}


def test_what_is_said() -> None:
    entry = {
        "drain": given(True),
        "weight": given(None),
        "standby": given(True, replica="lb2"),
        "member": given(["http://a:1", 2, False]),
        "mood": given("fine"),
    }
    stamps = {"drain": Stamp("olga", 5.0), "standby": Stamp("olga on lb2", 5.0)}
    assert merge.said("c1", entry, "lb1") == Said(
        Member("c1", "http://a:1", 2, False, Stamp("olga", 5.0)), Order(True, None, True, stamps)
    )
    assert merge.said("c1", {}, "lb1") == Said(None, Order())
    assert merge.values(merge.said("c1", entry, "lb1")) == {
        "drain": True,
        "weight": None,
        "standby": True,
        "member": ["http://a:1", 2, False],
    }


def test_void_is_what_orders_nothing() -> None:
    assert merge.is_void({})
    assert merge.is_void({"drain": given(False), "weight": given(None)})
    assert not merge.is_void({"drain": given(False), "weight": given(0)})
    assert not merge.is_void({"mood": given("fine")}), "what a newer version says is not nothing"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (None, "orders are a table"),
        ({"drain": True}, "drain is not a list of 6"),
        ({"drain": [True, 1, "r", "lb1", "olga"]}, "drain is not a list of 6"),
        ({"drain": ["yes", 1, "r", "lb1", "olga", 5.0]}, "drain is 'yes'"),
        ({"drain": [None, 1, "r", "lb1", "olga", 5.0]}, "drain is None"),
        ({"drain": [1, 1, "r", "lb1", "olga", 5.0]}, "drain is 1"),
        ({"standby": [0, 1, "r", "lb1", "olga", 5.0]}, "standby is 0"),
        ({"weight": [101, 1, "r", "lb1", "olga", 5.0]}, "weight is 101"),
        ({"weight": [True, 1, "r", "lb1", "olga", 5.0]}, "weight is True"),
        ({"member": [["http://a:1"], 1, "r", "lb1", "olga", 5.0]}, "member is ['http://a:1']"),
        ({"member": [["ftp://a", 1, False], 1, "r", "lb1", "olga", 5.0]}, "scheme is not http"),
        ({"member": [["http://a:1", True, False], 1, "r", "lb1", "olga", 5.0]}, "member is "),
        ({"drain": [True, -1, "r", "lb1", "olga", 5.0]}, "the stamp of drain is not a number"),
        ({"drain": [True, LATEST + 1, "r", "lb1", "olga", 5.0]}, "the stamp of drain is not a number"),
        ({"drain": [True, True, "r", "lb1", "olga", 5.0]}, "the stamp of drain is not a number"),
        ({"drain": [True, 1, "r", 7, "olga", 5.0]}, "drain does not say by whom"),
        ({"drain": [True, 1, "r", "lb1", "olga", "now"]}, "drain does not say by whom"),
        ({"drain": [True, 1, "r", "lb1", "olga", math.nan]}, "drain does not say by whom"),
        ({"drain": [True, 1, "r", "lb1", "olga", math.inf]}, "drain does not say by whom"),
        ({"drain": [True, 1, "r", "lb1", "olga", 1e12]}, "drain does not say by whom"),
        ({"drain": [True, 1_764_000_000_000_000_000, "r", "lb1", "olga", 5.0]}, "the stamp of drain is not a number"),
    ],
)
def test_what_makes_no_sense_is_refused(told: object, why: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 # the text is compared
        merge.decode("c1", told)
    assert why in str(raised.value)


def test_a_stale_clock_does_not_lose() -> None:
    """An hour behind: what it gives after it has heard of another order is later."""
    clock = Clock(lambda: 1000.0)
    assert clock.now() == 1_000_000_000
    assert clock.now() == 1_000_000_001
    clock.saw({"drain": given(True, 4_600_000_000), "weight": given(1, 7)})
    assert clock.now() == 4_600_000_001
    assert repr(clock) == "<clock at 4600000001>"


def test_a_clock_gives_no_stamp_that_cannot_be_read() -> None:
    """Whoever writes the last one into etcd does not take the orders of all that follow it with him."""
    clock = Clock(lambda: 1000.0)
    clock.saw({"drain": given(True, LATEST)})
    entry = {"drain": given(False, clock.now())}
    assert merge.decode("c1", merge.encode(entry)) == entry
