from __future__ import annotations

import pytest

from lbproxy.control.snapshot import BackendView, Snapshot
from lbproxy.dashboard.words import Mark, find, mark, pool_mark, staying, summary, why
from tests.control.sample import backend, dead_backend, new_backend, pool, snapshot


@pytest.mark.parametrize(
    ("view", "wanted"),
    [
        (backend("c1"), "up"),
        (dead_backend("c1"), "down"),
        (new_backend("c1"), "new"),
        (backend("c1") | {"draining": True, "in_rotation": False}, "out"),
    ],
)
def test_a_mark_is_one_of_four(view: BackendView, wanted: Mark) -> None:
    assert mark(view) == wanted


def test_a_pool_with_some_missing_is_not_marked_as_good() -> None:
    standby = backend("c3") | {"standby": True, "in_rotation": False}
    assert pool_mark(pool("p", backend("c1"), standby)) == "up"
    assert pool_mark(pool("p", backend("c1"), dead_backend("c2"))) == "out"
    assert pool_mark(pool("p", dead_backend("c2"))) == "down"
    assert pool_mark(pool("p")) == "down"


def test_says_why_in_words() -> None:
    dead = dead_backend("c1")
    [first, *_] = why(pool("p", dead), dead, 0.0)
    assert first.startswith("down for ")
    assert first.endswith(f": {dead['reason_text']}: {dead['detail']}")
    odd = backend("c2") | {
        "draining": True, "in_rotation": False, "weight": 0, "ramp": 0.25, "held_seconds": 70.0,
        "inconsistent": "version is 1.7", "ordered": {"drain": {"by": "olga", "at": 0.0}},
    }  # fmt: skip
    told = list(why(pool("p", odd), odd, 0.0))
    assert told[:5] == [
        "it flaps, and may come back in 1m 10s at the earliest",
        "drained: it gets no new work, and finishes what it has",
        "kept out, as it is unlike the others: version is 1.7",
        "its weight is 0: it gets no turn",
        "slow start: it gets 25% of its share",
    ]
    assert told[-1].startswith("draining since ")
    waiting = backend("c3") | {"standby": True, "in_rotation": False}
    assert list(why(pool("p", waiting), waiting, 0.0)) == ["a standby: it waits until too few others are in rotation"]
    slow = pool("p", backend("c4"))
    slow["outliers"] = {"c4": ["slow: p50 840 ms, others 12 ms"]}
    assert list(why(slow, backend("c4"), 0.0)) == ["slow: p50 840 ms, others 12 ms"]


def test_says_how_many_stay() -> None:
    of = pool("p", backend("c1"), backend("c2"), dead_backend("c3"))
    assert str(staying(of, "c1")) == "1 of 3 stays in rotation"
    assert str(staying(of, "c3")) == "2 of 3 stay in rotation"
    assert str(staying(pool("p", backend("c1")), "c1")) == "None of 1 stays in rotation: users will not be served"
    standby = backend("c2") | {"standby": True, "in_rotation": False}
    assert staying(pool("p", backend("c1"), standby), "c1").stay == 1, "it comes in then"


def test_finds_a_backend_and_sums_up() -> None:
    view: Snapshot = {**snapshot(), "pools": [pool("p", backend("c1"), dead_backend("c2"))]}
    found = find(view, "p", "c2")
    assert found is not None
    assert found[1]["name"] == "c2"
    assert find(view, "p", "c9") is None
    assert find(view, "q", "c1") is None
    assert summary(view) == "c2 of p is down"
    assert summary({**view, "pools": [pool("p", backend("c1"))]}) == "all backends are in rotation"
    many: Snapshot = {**view, "pools": [pool("p", *(dead_backend(f"c{number}") for number in range(8)))]}
    assert summary(many).endswith("; and 3 more")
