from __future__ import annotations

from lbproxy.balance.full_name import join, split


def test_a_full_name_is_taken_apart_as_it_was_made() -> None:
    assert split(join("connectors", "c1.corp")) == ("connectors", "c1.corp")


def test_a_name_alone_is_in_no_pool() -> None:
    assert split("c1") == ("", "c1")
