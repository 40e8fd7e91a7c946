from __future__ import annotations

from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.control.snapshot import RecentView, WindowView
from lbproxy.status.outliers import SLOWER_BY, TIMES_SLOWER, outliers
from lbproxy.status.windows import NOTHING


def window(p50: float | None, answers: int = 100, server_errors: int = 0) -> WindowView:
    return {**NOTHING, "seconds": 60.0, "answers": answers, "server_errors": server_errors, "p50": p50}


def recent(p50: float | None, answers: int = 100, server_errors: int = 0) -> RecentView:
    one = window(p50, answers, server_errors)
    return {"minute": one, "ten_minutes": one}


def test_what_an_operator_would_want_to_be_told() -> None:
    told = outliers({"c1": recent(0.012), "c2": recent(0.84), "c3": recent(0.012, server_errors=20)})
    assert told == {"c2": ["slow: p50 840 ms, others 12 ms"], "c3": ["5xx 20 %"]}
    assert outliers({"c1": recent(0.012), "c2": recent(0.84, server_errors=7)}) == {
        "c2": ["slow: p50 840 ms, others 12 ms", "5xx 7 %"]
    }


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (recent(0.84, answers=19), recent(0.012), "too few answers"),
        (recent(0.84), recent(0.012, answers=3), "the others have too few"),
        (recent(0.09), recent(0.001), "it is not much time"),
        (recent(3.0), recent(1.0), "it is not many times as much"),
        (recent(0.012, server_errors=4), recent(0.012), "few errors"),
        (recent(0.012, answers=1000, server_errors=20), recent(0.012), "a small part"),
        (recent(0.012, answers=5, server_errors=5), recent(0.012), "too few answers to be a part"),
        (recent(None, answers=0), recent(0.012), "no answer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_does_not_shout(one: RecentView, other: RecentView, why: str) -> None:
    assert outliers({"c1": one, "c2": other}) == {}


def test_where_the_last_minute_has_few_the_last_ten_count() -> None:
    slow: RecentView = {"minute": window(0.5, 10), "ten_minutes": window(2.12, 80)}
    assert outliers({"c1": recent(0.012), "c2": slow}) == {"c2": ["slow: p50 2.1 s, others 12 ms"]}


def test_one_alone_cannot_be_slow_but_can_fail() -> None:
    assert outliers({"c1": recent(9.0, server_errors=50)}) == {"c1": ["5xx 50 %"]}


def test_a_whole_pool_that_is_slow_has_no_outlier() -> None:
    assert outliers({name: recent(2.0) for name in ("c1", "c2", "c3")}) == {}


@given(st.lists(st.floats(min_value=0.001, max_value=60), min_size=2, max_size=12))
def test_each_is_compared_with_the_median_of_the_others(medians: list[float]) -> None:
    told = outliers({str(at): recent(own) for at, own in enumerate(medians)})
    for at, own in enumerate(medians):
        usual = median(medians[:at] + medians[at + 1 :])
        assert (str(at) in told) == (own >= TIMES_SLOWER * usual and own >= usual + SLOWER_BY)
