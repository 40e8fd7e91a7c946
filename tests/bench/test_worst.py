from bench.load.worst import shown, worst
from tests.bench.made_up import outcome, result

GOOD = [result("lbproxy", 8, 8), result("nginx", 10, 10)]
BAD = [result("lbproxy", 9, 9), result("nginx", 10, 10)]
NOISY = [result("lbproxy", 9, 15), result("nginx", 10, 10)]


def test_is_the_greatest_ratio_of_any_run() -> None:
    found = worst(outcome(GOOD, BAD, GOOD), "small", "nginx")
    assert (str(found), found.run) == ("0.90", 1)


def test_says_in_how_many_runs_there_was_one() -> None:
    assert str(worst(outcome(NOISY, GOOD, BAD), "small", "nginx")) == "0.90 (2 of 3 runs)"


def test_without_any_says_why() -> None:
    assert str(worst(outcome(NOISY), "small", "nginx")) == "noise: 0.90 to 1.50"
    assert str(worst(outcome(GOOD), "small", "caddy")) == ""


def test_all_that_is_shown_is_of_one_run() -> None:
    assert shown(outcome(GOOD, BAD, NOISY), "small") == BAD


def test_without_a_reference_the_first_run_that_has_results_is_shown() -> None:
    alone = [result("lbproxy", 8, 8)]
    assert shown(outcome([], alone, alone), "small") == alone
