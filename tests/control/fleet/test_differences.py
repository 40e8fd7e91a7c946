from __future__ import annotations

from lbproxy.control.fleet.differences import Difference, differences
from tests.control.fleet.made import replica


def test_all_alike() -> None:
    assert differences({}) == {}
    assert differences({"lb1": replica(), "lb2": replica(host="elsewhere")}) == {}


def test_the_few_differ_from_the_many() -> None:
    found = differences(
        {
            "lb1": replica(upgraded=10.0),
            "lb2": replica(upgraded=20.0),
            "lb3": replica(version="0.2.0", upgraded=500.0),
        }
    )
    assert found == {"lb3": [Difference("version", "0.2.0", "0.1.0", 500.0)]}


def test_one_that_stayed_behind_differs_since_the_others_moved() -> None:
    old, new = replica(configuration="a", configured=1.0), replica(configuration="b", configured=700.0)
    later = replica(configuration="b", configured=800.0)
    assert differences({"lb1": old, "lb2": new, "lb3": later}) == {
        "lb1": [Difference("configuration", "a", "b", 700.0)]
    }


def test_of_two_that_differ_neither_is_right() -> None:
    found = differences({"lb1": replica(configured=5.0), "lb2": replica(configuration="b", configured=9.0)})
    assert found == {
        "lb1": [Difference("configuration", "5f2b8c1a9d3e", None, 9.0)],
        "lb2": [Difference("configuration", "b", None, 9.0)],
    }


def test_both_may_differ() -> None:
    found = differences({"lb1": replica(), "lb2": replica(), "lb3": replica(version="2", configuration="c")})
    assert [one.what for one in found["lb3"]] == ["version", "configuration"]


def test_secrets_may_differ_or_be_missing() -> None:
    found = differences({"lb1": replica(secret="a"), "lb2": replica(secret="a"), "lb3": replica(configured=7000.0)})
    assert found == {"lb3": [Difference("secret_file", "none", "a", 7000.0)]}
