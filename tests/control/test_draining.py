from __future__ import annotations

import pytest

from lbproxy.control.draining import unfinished
from lbproxy.control.snapshot import BackendInPool, BackendView, InstanceView
from tests.control.sample import backend


def instance(*views: BackendView) -> InstanceView:
    """One backend, or those of further pools as well."""
    members: list[BackendInPool] = [{"pool": f"p{number}", "backend": view} for number, view in enumerate(views)]
    return {
        "pool": members[0]["pool"],
        "backend": members[0]["backend"],
        "others": members[1:],
        "fleet": None,
        "killed_generations": 0,
    }


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
    assert unfinished(instance(view)) == text


def test_idle_shared_lanes_and_health_do_not_count() -> None:
    empty = backend("c1") | {"active": 0, "private_lanes": 0, "idle_lanes": 7, "state": "down"}
    assert unfinished(instance(empty)) == ""


def test_what_is_open_in_several_pools_adds_up() -> None:
    web = backend("c1") | {"active": 2, "private_lanes": 1, "tunnels": 0}
    raw = backend("c1") | {"active": 3, "private_lanes": 3, "tunnels": 3}
    assert unfinished(instance(web, raw)) == "2 requests, 3 tunnels, 1 private lane"
    empty = backend("c1") | {"active": 0, "private_lanes": 0}
    assert unfinished(instance(empty, raw)) == "3 tunnels"
    assert unfinished(instance(empty, empty)) == ""


def test_what_workers_of_a_killed_generation_have_is_not_known() -> None:
    view = backend("c1") | {"active": 1, "private_lanes": 0, "tunnels": 0}
    found: InstanceView = {**instance(view), "killed_generations": 2}
    assert unfinished(found) == "1 request, what workers of a killed generation have"
