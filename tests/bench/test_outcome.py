from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.load.load import Load
from bench.load.outcome import Outcome, Result, Round, ratio


def result(peer: str, *costs: float, errors: int = 0) -> Result:
    """A result whose rounds, of 1,000 requests in half a second, took `costs` microseconds a request."""
    load = Load(1000, errors, 0.5, 300_000, 1000.0, 2000.0, 3000.0)
    return Result("small", peer, 5_000_000, tuple(Round(load, round(cost * 1_000_000)) for cost in costs))


def test_sums_its_rounds_up() -> None:
    summed = result("nginx", 10, 30, 20)
    assert summed.cpu_us == 20
    assert summed.spread == 3
    assert summed.requests_per_second == 2000
    assert summed.busy == pytest.approx(0.04)
    assert summed.latency_us("p99") == 2000


def test_a_ratio_is_of_the_median_rounds() -> None:
    assert ratio(result("lbproxy", 9, 9.2, 9.1), result("nginx", 10, 10, 10.5), 1.1) == pytest.approx(0.91)


@pytest.mark.parametrize(
    ("own", "reference", "why"),
    [
        (result("lbproxy", 9, 10), result("nginx", 10, 10), "lbproxy: spread 1.11"),
        (result("lbproxy", 9, 9), result("nginx", 10, 13), "nginx: spread 1.30"),
        (result("lbproxy", 9, 9, errors=1), result("nginx", 10, 10), "lbproxy: 2 errors"),
        (result("lbproxy", 9), result("nginx", 10, 10), "lbproxy: one round"),
        (result("lbproxy", 9, 10), result("nginx", 10, 13), "lbproxy: spread 1.11; nginx: spread 1.30"),
        (result("lbproxy", 9, 9), None, ""),
    ],
)
def test_refuses_a_ratio_that_is_not_to_be_trusted(own: Result, reference: Result | None, why: str) -> None:
    assert ratio(own, reference, 1.1) == why


def test_is_read_as_it_was_saved(tmp_path: Path) -> None:
    outcome = Outcome({"made": "today", "plan": {"rounds": 2}}, (result("nginx", 10, 11),), {"tls": "no answer"})
    outcome.save(tmp_path / "run.json")
    assert Outcome.read(tmp_path / "run.json") == outcome


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"about": {}, "results": [{}], "failures": {}}'])
def test_another_file_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(BenchError, match=r"run\.json is not a saved run"):
        Outcome.read(path)
