from __future__ import annotations

import pytest

from lbproxy.control.rollout.waiting import until_back, until_good
from lbproxy.control.snapshot import BackendView
from tests.control.sample import backend, dead_backend, new_backend

VERSION = {"version": "1.8.0"}


def probed(view: BackendView, age: float, took: float = 0.5) -> BackendView:
    assert view["probe"] is not None
    view["probe"].update({"age_seconds": age, "took_seconds": took})
    return view


def test_a_good_probe_that_began_after_the_command_is_enough() -> None:
    assert until_good(probed(backend("c1"), age=1.0), since=1.75, expected={}) == ""


@pytest.mark.parametrize("since", [0.0, 0.9, 1.25])
def test_an_older_probe_says_nothing(since: float) -> None:
    """Even one that ended after the command had: it may have been answered before."""
    assert until_good(probed(backend("c1"), age=1.0), since, expected={}) == "its next probe"


def test_without_a_probe_there_is_nothing_to_go_by() -> None:
    assert until_good(new_backend("c1"), since=60, expected={}) == "its next probe"


def test_a_bad_probe_is_shown() -> None:
    text = until_good(probed(dead_backend("c1"), age=1.0), since=60, expected=VERSION)
    assert text == "a good probe (the last one: connection refused)"


def test_one_good_probe_may_not_be_enough() -> None:
    """`rise` of them bring a backend back."""
    rising = backend("c1") | {"state": "down", "in_rotation": False}
    assert until_good(rising, since=60, expected={}) == "another good probe"


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"version": "1.8.0", "other": "x"}, ""),
        ({"version": "1.7.9"}, "version to be 1.8.0 (it is 1.7.9)"),
        ({"version": None}, "version to be 1.8.0 (it is unknown)"),
        ({}, "version to be 1.8.0 (it is unknown)"),
    ],
)
def test_facts_must_be_as_expected(facts: dict[str, str | None], text: str) -> None:
    assert until_good(backend("c1") | {"facts": facts}, since=60, expected=VERSION) == text


def test_every_wrong_fact_is_named() -> None:
    text = until_good(
        backend("c1") | {"facts": {"a": "1", "b": "2"}}, since=60, expected={"a": "1", "b": "3", "c": "4"}
    )
    assert text == "b to be 3 (it is 2), c to be 4 (it is unknown)"


def test_back_is_in_rotation_with_its_whole_share() -> None:
    assert until_back(backend("c1")) == ""
    assert until_back(dead_backend("c1")) == "rotation"
    unlike = backend("c1") | {"in_rotation": False, "inconsistent": "version is 1.8.0, most have 1.7.9"}
    assert until_back(unlike) == "rotation (unlike the others: version is 1.8.0, most have 1.7.9)"
    assert until_back(backend("c1") | {"weight": 0.4}) == "the end of its slow start (at 40%)"
