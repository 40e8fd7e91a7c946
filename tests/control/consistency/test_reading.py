from __future__ import annotations

import hashlib

from lbproxy.control.consistency.reading import LONGEST_VALUE, shortened


def test_what_people_can_read_stays_as_it_is() -> None:
    assert shortened("") == ""
    assert shortened("é" * LONGEST_VALUE) == "é" * LONGEST_VALUE


def test_what_is_longer_is_compared_by_its_digest() -> None:
    long = "x" * (LONGEST_VALUE + 1)
    assert shortened(long) == f"sha256:{hashlib.sha256(long.encode()).hexdigest()}"
    assert shortened(long) != shortened(long[:-1] + "y")


def test_half_a_surrogate_pair_which_json_can_hold() -> None:
    assert shortened("\ud800" * 200).startswith("sha256:")
