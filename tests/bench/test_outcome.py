import pytest

from bench.load.outcome import Outcome, Run
from tests.bench.made_up import outcome, result


def test_sums_its_rounds_up() -> None:
    summed = result("nginx", 10, 30, 20)
    assert summed.cpu_us == 20
    assert summed.requests_per_second == 2000
    assert summed.busy == pytest.approx(0.04)
    assert summed.latency_us("p99") == 2000


def test_names_what_any_of_its_runs_measured() -> None:
    made = outcome([result("lbproxy", 1), result("nginx", 1)], [result("lbproxy", 1, scenario="tls")])
    assert (made.scenarios, made.peers) == (["small", "tls"], ["lbproxy", "nginx"])


def test_one_scenario_that_failed_in_one_run_is_a_failure() -> None:
    made = Outcome({}, (Run((), {}),))
    assert not made.failed
    assert made.with_run(Run((), {"tls": "no answer"})).failed
