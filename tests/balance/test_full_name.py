from __future__ import annotations

from lbproxy.balance.full_name import join, split


def test_a_full_name_is_taken_apart_as_it_was_made() -> None:
    assert split(join("connectors", "c1.corp")) == ("connectors", "c1.corp")


def test_a_name_alone_is_in_no_pool() -> None:
    assert split("c1") == ("", "c1")


def test_more_slashes_are_the_names() -> None:
    """So that whoever gives a backend such a name is told of the slash, and of no pool that was never meant."""
    assert split("connectors/c/2") == ("connectors", "c/2")
