from __future__ import annotations

import pytest

from lbproxy.control.draining import unfinished
from tests.control.sample import backend


@pytest.mark.parametrize(
    ("active", "private", "tunnels", "text"),
    [
        (0, 0, 0, ""),
        (1, 0, 0, "1 request"),
        (0, 1, 0, "1 private lane"),
        (2, 3, 0, "2 requests, 3 private lanes"),
        (2, 2, 2, "2 tunnels"),
        (3, 2, 1, "2 requests, 1 tunnel, 1 private lane"),
        (1, 0, 1, "1 tunnel"),
    ],
)
def test_what_is_open(active: int, private: int, tunnels: int, text: str) -> None:
    view = backend("c1") | {"active": active, "private_lanes": private, "tunnels": tunnels}
    assert unfinished(view) == text


def test_idle_shared_lanes_and_health_do_not_count() -> None:
    empty = backend("c1") | {"active": 0, "private_lanes": 0, "idle_lanes": 7, "state": "down"}
    assert unfinished(empty) == ""
