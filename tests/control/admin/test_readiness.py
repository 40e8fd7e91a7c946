from __future__ import annotations

from typing import Literal

import pytest

from lbproxy.control.admin.readiness import readiness
from lbproxy.control.snapshot import ShutOutView
from tests.control.sample import backend, dead_backend, new_backend, pool, snapshot


def test_one_backend_in_rotation_is_enough() -> None:
    assert readiness(snapshot()) == (True, "ok")


def test_every_pool_needs_one() -> None:
    view = snapshot()
    view["pools"] = [
        pool("a", backend("a1")),
        pool("b", dead_backend("b1"), new_backend("b2")),
        pool("c", dead_backend("c1")),
    ]
    assert readiness(view) == (False, "no backend is in rotation in pool b, c")


def test_a_pool_may_be_no_reason_to_leave() -> None:
    stays, leaves = pool("b", dead_backend("b1")), pool("c", dead_backend("c1"))
    stays["ready_when_all_down"] = True
    view = snapshot()
    view["pools"] = [pool("a", backend("a1")), stays]
    assert readiness(view) == (True, "ok, but no backend is in rotation in pool b")
    view["pools"].append(leaves)
    assert readiness(view) == (False, "no backend is in rotation in pool c")


def test_a_listener_must_let_clients_in() -> None:
    view = snapshot()
    [listener] = view["listeners"]
    shut: ShutOutView = {"authorities": ["CN=a", "CN=b"], "everybody": True}
    listener["shut_out"] = shut
    refuses = "listener login refuses all clients: no current revocation list of CN=a, CN=b"
    assert readiness(view) == (False, refuses)
    shut["everybody"] = False
    assert readiness(view) == (True, f"ok, but {refuses.replace('all', 'some')}")
    view["pools"] = [pool("a", dead_backend("a1"))]
    assert readiness(view) == (False, "no backend is in rotation in pool a")


@pytest.mark.parametrize("state", ["starting", "draining"])
def test_it_must_serve(state: Literal["starting", "draining"]) -> None:
    view = snapshot()
    view["state"] = state
    assert readiness(view) == (False, f"lbproxy is {state}")
