from __future__ import annotations

from typing import Literal

import pytest

from lbproxy.control.admin.readiness import why_not_ready
from tests.control.sample import backend, dead_backend, new_backend, pool, snapshot


def test_one_backend_in_rotation_is_enough() -> None:
    assert why_not_ready(snapshot()) is None


def test_every_pool_needs_one() -> None:
    view = snapshot()
    view["pools"] = [
        pool("a", backend("a1")),
        pool("b", dead_backend("b1"), new_backend("b2")),
        pool("c", dead_backend("c1")),
    ]
    assert why_not_ready(view) == "no backend is in rotation in pool b, c"


@pytest.mark.parametrize("state", ["starting", "draining"])
def test_it_must_serve(state: Literal["starting", "draining"]) -> None:
    view = snapshot()
    view["state"] = state
    assert why_not_ready(view) == f"lbproxy is {state}"
