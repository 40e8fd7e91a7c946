from __future__ import annotations

import pytest

from lbproxy.control.draining import unfinished
from tests.control.sample import backend


@pytest.mark.parametrize(
    ("active", "private", "text"),
    [
        (0, 0, ""),
        (1, 0, "1 request"),
        (0, 1, "1 private lane"),
        (2, 3, "2 requests, 3 private lanes"),
    ],
)
def test_what_is_open(active: int, private: int, text: str) -> None:
    assert unfinished(backend("c1") | {"active": active, "private_lanes": private}) == text


def test_idle_shared_lanes_and_health_do_not_count() -> None:
    empty = backend("c1") | {"active": 0, "private_lanes": 0, "idle_lanes": 7, "state": "down"}
    assert unfinished(empty) == ""
