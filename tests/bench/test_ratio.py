import pytest

from bench.load.outcome import Result
from bench.load.ratio import Ratio, pooled, ratio
from tests.bench.made_up import outcome, result


def test_rounds_are_compared_in_pairs_so_that_a_machine_may_drift() -> None:
    found = ratio(result("lbproxy", 9, 18, 36), result("nginx", 10, 20, 40))
    assert isinstance(found, Ratio)
    assert found.value == pytest.approx(0.9)
    assert found.spread == pytest.approx(1.0)


def test_is_the_median_of_the_pairs() -> None:
    found = ratio(result("lbproxy", 9.2, 9, 9.1), result("nginx", 10, 10, 10))
    assert str(found) == "0.91"


@pytest.mark.parametrize(
    ("own", "reference", "why"),
    [
        (result("lbproxy", 9, 9), result("nginx", 10, 13), "noise: 0.69 to 0.90"),
        (result("lbproxy", 9, 9, errors=1), result("nginx", 10, 10), "lbproxy: 2 errors"),
        (result("lbproxy", 9, 9), result("nginx", 10, 13, errors=2), "nginx: 4 errors"),
        (result("lbproxy", 9), result("nginx", 10), "one round"),
        (result("lbproxy", 9, 9), None, ""),
        (None, result("nginx", 9, 9), ""),
    ],
)
def test_refuses_a_ratio_that_is_not_to_be_trusted(own: Result | None, reference: Result | None, why: str) -> None:
    assert ratio(own, reference) == why


@pytest.mark.parametrize(("count", "low", "high"), [(2, 1, 2), (5, 1, 5), (7, 1, 7), (8, 2, 7), (11, 3, 9)])
def test_outliers_count_less_the_more_ratios_there_are(count: int, low: float, high: float) -> None:
    """The median of 8 measurements is between the second and the seventh with 93 % probability (sign test)."""
    found = Ratio.of([float(number) for number in range(1, count + 1)])
    assert (found.low, found.high) == (low, high)


@pytest.mark.parametrize(
    ("other", "differs"), [(Ratio(0.8, 0.7, 0.89), True), (Ratio(0.8, 0.7, 0.9), False), (Ratio(1.1, 1.02, 1.2), True)]
)
def test_two_ratios_differ_when_their_noise_does_not_overlap(other: Ratio, differs: bool) -> None:
    one = Ratio(0.95, 0.9, 1.01)
    assert one.differs(other) is other.differs(one) is differs


def test_runs_are_pooled() -> None:
    made = outcome([result("lbproxy", 9), result("nginx", 10)], [result("lbproxy", 19), result("nginx", 20)])
    assert pooled(made, "small", "lbproxy", "nginx") == Ratio.of([0.9, 0.95])
    assert pooled(made, "small", "caddy", "nginx") == ""
