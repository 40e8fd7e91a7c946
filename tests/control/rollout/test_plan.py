from __future__ import annotations

from collections.abc import Collection

import pytest

from lbproxy.control.fleet.views import RolloutView
from lbproxy.control.rollout import plan as planning
from lbproxy.control.rollout.plan import Target, check_spare, choose_pool, pools_of, pools_with, refuse_another
from lbproxy.control.snapshot import BackendView, PoolView, Snapshot
from lbproxy.errors import RolloutError
from tests.control.sample import backend, dead_backend, pool, snapshot


def drained(name: str) -> BackendView:
    return backend(name) | {"draining": True, "in_rotation": False}


def three(*members: BackendView) -> PoolView:
    return pool("connectors", *(members or map(backend, ("c1", "c2", "c3"))))


def of(*pools: PoolView) -> Snapshot:
    return snapshot() | {"pools": list(pools)}


def plan(
    pool: PoolView, start: str | None, keep: int, expected: Collection[str] = (), *others: PoolView
) -> list[Target]:
    """The plan for `pool`, beside which there are `others`."""
    return planning.plan(of(pool, *others), pool, start, keep, expected)


def names(targets: list[Target]) -> list[str]:
    return [target.name for target in targets]


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://10.0.0.1:4000", "10.0.0.1", 4000),
        ("http://c1.corp.example", "c1.corp.example", 80),
        ("https://c1.corp.example", "c1.corp.example", 443),
        ("https://[2001:db8::1]:4443", "2001:db8::1", 4443),
        ("tcp://10.0.0.1:9", "10.0.0.1", 9),
    ],
)
def test_a_target_knows_its_host_and_port(url: str, host: str, port: int) -> None:
    target = Target("connectors", "c1", url)
    assert (target.host, target.port, str(target)) == (host, port, "connectors/c1")


def test_the_only_pool_need_not_be_named() -> None:
    assert choose_pool(snapshot(), None)["name"] == "connectors"


def test_one_of_several_pools_must_be_named() -> None:
    view = snapshot() | {"pools": [pool("a"), pool("b")]}
    assert choose_pool(view, "b")["name"] == "b"
    with pytest.raises(RolloutError, match="there are several pools; choose one of a, b"):
        choose_pool(view, None)
    with pytest.raises(RolloutError, match="there is no pool c; there is a, b"):
        choose_pool(view, "c")


def test_all_backends_in_the_order_of_the_configuration() -> None:
    targets = plan(three(), None, keep=1)
    assert names(targets) == ["c1", "c2", "c3"]
    assert targets[0] == Target("connectors", "c1", "http://10.0.0.1:4000/c1")


def test_from_one_on() -> None:
    assert names(plan(three(), "c2", keep=1)) == ["c2", "c3"]
    with pytest.raises(RolloutError, match="there is no backend c9 to begin with; there is c1, c2, c3"):
        plan(three(), "c9", keep=1)


def test_what_a_stopped_rollout_left_drained_may_be_begun_with() -> None:
    left = three(backend("c1"), drained("c2"), backend("c3"))
    assert names(plan(left, "c2", keep=1)) == ["c2", "c3"]


@pytest.mark.parametrize("start", [None, "c1", "c3"])
def test_what_somebody_drained_is_not_brought_back(start: str | None) -> None:
    with pytest.raises(RolloutError, match=r"^c2: drained already; end that with lbproxy ready"):
        plan(three(backend("c1"), drained("c2"), backend("c3"), backend("c4")), start, keep=1)


@pytest.mark.parametrize(("keep", "fits"), [(0, True), (1, True), (2, True), (3, False)])
def test_enough_must_stay(keep: int, fits: bool) -> None:
    if fits:
        assert len(plan(three(), None, keep)) == 3
    else:
        with pytest.raises(RolloutError, match=r"without c1, pool connectors has 2 in rotation \(c2, c3\); 3 must"):
            plan(three(), None, keep)


def test_a_dead_backend_can_be_updated_but_does_not_count() -> None:
    members = three(dead_backend("c1"), backend("c2"), backend("c3"))
    check_spare([members], "c1", keep=2)
    check_spare([members], "c2", keep=1)
    with pytest.raises(RolloutError, match=r"without c2, .* has 1 in rotation \(c3\); 2 must stay"):
        check_spare([members], "c2", keep=2)


def test_a_single_backend_cannot_be_spared() -> None:
    with pytest.raises(RolloutError, match=r"0 in rotation \(none\)"):
        plan(three(backend("c1")), None, keep=1)
    assert names(plan(three(backend("c1")), None, keep=0)) == ["c1"]


def test_expected_facts_must_be_read_somewhere() -> None:
    members = three(backend("c1") | {"facts": {"version": "1.7.9"}}, dead_backend("c2"), backend("c3"))
    assert len(plan(members, None, 1, ["version"])) == 3
    with pytest.raises(RolloutError, match="no backend of pool connectors tells its build, kvno"):
        plan(members, None, 1, ["version", "kvno", "build"])


def test_an_instance_is_in_every_pool_that_has_its_name() -> None:
    web, raw, other = three(), pool("raw", backend("c1"), backend("r2")), pool("other", backend("o1"))
    assert [each["name"] for each in pools_with(of(web, raw, other), "c1")] == ["connectors", "raw"]
    assert [target.also for target in plan(web, None, 1, (), raw, other)] == [("raw",), (), ()]


def test_enough_must_stay_in_each_of_its_pools() -> None:
    raw = pool("raw", dead_backend("c1"), backend("c2"))
    with pytest.raises(RolloutError, match=r"without c2, pool raw has 0 in rotation \(none\); 1 must stay"):
        plan(three(), None, 1, (), raw)
    assert names(plan(three(), "c3", 1, (), raw)) == ["c3"]  # which pool raw has not
    assert names(plan(three(), None, 1, (), pool("raw", backend("c1"), backend("c2")))) == ["c1", "c2", "c3"]


def test_what_is_drained_in_another_pool_is_not_brought_back_either() -> None:
    raw = pool("raw", backend("c1"), drained("c2"), backend("c3"), drained("r4"))
    with pytest.raises(RolloutError, match=r"^raw/c2: drained already"):
        plan(three(), None, 1, (), raw)
    assert names(plan(three(), "c2", 1, (), raw)) == ["c2", "c3"]


def test_another_rollout_of_the_pool_is_named() -> None:
    view = snapshot()
    refuse_another(view, "connectors")
    found: RolloutView = {
        "pool": "connectors",
        "by": "olga",
        "replica": "lb2",
        "since": 5.0,
        "held": True,
        "target": "c2",
        "step": "",
        "updated": [],
    }
    view["rollouts"] = [found]
    refuse_another(view, "raw")
    with pytest.raises(RolloutError) as raised:
        refuse_another(view, "connectors")
    assert str(raised.value) == "olga on lb2 rolls out pool connectors already, at c2; a pool has one rollout at a time"
    view["rollouts"] = [found | {"held": False}]
    refuse_another(view, "connectors")


def test_the_pools_of_its_targets() -> None:
    targets = [Target("q", "c1", "http://c1", ("p",)), Target("q", "c2", "http://c2", ("a", "p"))]
    assert pools_of(targets) == ["a", "p", "q"]


def test_another_rollout_of_a_pool_that_shares_an_instance_is_named() -> None:
    """Before what it has drained, which is not to be made ready."""
    shared = of(three(drained("c1"), *map(backend, ("c2", "c3", "c4"))), pool("raw", drained("c1"), backend("c9")))
    other: RolloutView = {
        "pool": "raw", "by": "olga", "replica": "lb2", "since": 5.0, "held": True, "target": "c1", "step": "",
        "updated": [],
    }  # fmt: skip
    shared["rollouts"] = [other]
    with pytest.raises(RolloutError, match="olga on lb2 rolls out pool raw already, at c1; "):
        planning.plan(shared, shared["pools"][0], None, 1)
