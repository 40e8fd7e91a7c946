from __future__ import annotations

from bisect import bisect_right
from math import ceil, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.latency import bounds
from lbproxy.control.waits import METRIC_BOUNDS, answers, durations, percentiles, time_of

BOUNDS = bounds()


def below(*seconds: float) -> dict[str, int]:
    """Those times, as they are counted."""
    found: dict[str, int] = {}
    for one in seconds:
        bound = str(BOUNDS[bisect_right(BOUNDS, one)])
        found[bound] = found.get(bound, 0) + 1
    return found


def counts(*seconds: float) -> list[int]:
    """The same, by bucket."""
    found = below(*seconds)
    return [found.get(str(bound), 0) for bound in BOUNDS]


@given(st.lists(st.floats(min_value=0.00025, max_value=65), min_size=1), st.sampled_from([50, 90, 99, 100]))
def test_a_percentile_is_known_to_within_12_percent(times: list[float], percent: int) -> None:
    true = sorted(times)[ceil(len(times) * percent / 100) - 1]
    [found] = percentiles(counts(*times), [percent])
    assert found is not None
    assert abs(found - true) <= 0.12 * true


def test_several_percentiles_are_those_of_each() -> None:
    times = counts(*[0.01] * 50, *[0.1] * 49, 1.0)
    assert percentiles(times, (50, 51, 99, 100)) == [percentiles(times, [one])[0] for one in (50, 51, 99, 100)]
    assert percentiles(times, (50, 51, 99, 100)) == pytest.approx([0.01, 0.1, 0.1, 1.0], rel=0.12)


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentiles(counts(), (50, 99)) == [None, None]


def test_what_is_beyond_the_bounds_is_at_the_bound() -> None:
    assert percentiles(counts(0.0001), [50]) == [0.00025]
    assert percentiles(counts(1000), [50]) == [65.536]


def test_a_metric_has_few_buckets_and_exact_ones() -> None:
    assert set(METRIC_BOUNDS) <= set(BOUNDS)
    found = durations({"below": below(0.0009, 0.0011, 0.9, 0.9, 100), "sum": 102.0})
    assert dict(found["buckets"]) == {le: (le >= 0.001) + (le >= 0.002) + 2 * (le >= 1.024) for le in METRIC_BOUNDS}
    assert (found["count"], found["sum"]) == (5, 102.0)
    assert answers({"below": {"0.1": 2, str(inf): 3}, "sum": 1.0}) == 5


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.00025, "0.2 ms"), (0.0042, "4.2 ms"), (0.012, "12 ms"), (0.84, "840 ms"), (2.14, "2.1 s")]
)
def test_a_time_has_few_digits(seconds: float, text: str) -> None:
    assert time_of(seconds) == text
