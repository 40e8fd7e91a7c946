from __future__ import annotations

import pytest

from lbproxy.control.fleet.views import WaitedForView
from lbproxy.control.rollout.waiting import everywhere, until_back, until_back_everywhere, until_finished, until_good
from lbproxy.control.snapshot import BackendInPool, BackendView, InstanceView
from tests.control.sample import ONE, TWO, backend, dead_backend, new_backend

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
    assert until_back(backend("c1") | {"ramp": 0.4}) == "the end of its slow start (at 40%)"


def test_everything_that_is_open_in_any_pool_is_waited_for() -> None:
    idle = backend("c1") | {"active": 0, "private_lanes": 0}
    others: list[BackendInPool] = [{"pool": "raw", "backend": backend("c1")}]
    open_in_raw: InstanceView = {"pool": "a", "backend": idle, "others": others, "fleet": None, "killed_generations": 0}
    assert until_finished(open_in_raw) == "1 request, 8 private lanes to finish"
    assert until_finished({"pool": "a", "backend": idle, "others": [], "fleet": None, "killed_generations": 0}) == ""


def test_an_instance_is_back_when_it_is_back_everywhere() -> None:
    assert everywhere(ONE, lambda _, one: until_back(one)) == ""
    assert everywhere(TWO, lambda _, one: until_back(one)) == "pool raw: rotation"
    assert everywhere(TWO, lambda _, one: one["state"]) == "pool connectors: up; pool raw: down"
    assert everywhere(ONE, lambda _, one: one["state"]) == "up"
    assert everywhere(TWO, lambda pool, _: pool) == "pool connectors: connectors; pool raw: raw"


def elsewhere(name: str, what: str = "", *down: str, gone: bool = False) -> WaitedForView:
    return {"replica": name, "what": what, "silent": False, "gone": gone, "down": [*down], "spare": {}}


def in_fleet(instance: InstanceView, *replicas: WaitedForView, here_only: str = "") -> InstanceView:
    return {**instance, "fleet": {"here_only": here_only, "replicas": [*replicas]}}


def test_an_instance_is_back_when_every_live_replica_has_it_back() -> None:
    replicas = (
        elsewhere("lb2", "", "connectors"),
        elsewhere("lb3", "has not applied the order", "connectors"),
        elsewhere("lb4"),
        elsewhere("lb5", "its lease has ended", gone=True),
    )
    text = until_back_everywhere(in_fleet(ONE, *replicas))
    assert text == "lb3: has not applied the order; lb2: rotation (down there)"
    assert until_back_everywhere(in_fleet(ONE, *replicas[2:])) == until_back_everywhere(ONE) == ""


def test_a_pool_in_which_it_is_down_elsewhere_is_named() -> None:
    text = until_back_everywhere(in_fleet(TWO, elsewhere("lb2", "", "connectors", "raw")))
    assert text == "pool raw: rotation; lb2: rotation (down there in connectors, raw)"


def test_an_order_that_holds_here_only_is_waited_for() -> None:
    """The others have it drained still."""
    text = until_back_everywhere(in_fleet(ONE, elsewhere("lb2"), here_only="etcd: no answer"))
    assert text == "the order to reach the fleet (etcd: no answer)"
