from bench.load.outcome import Outcome, Run
from bench.load.peers import AS_BASE
from bench.load.report import beside, heading, summary, table
from tests.bench.made_up import busy, outcome, result, rows

CORE = {
    "9": "111,111",
    "9.1": "109,890",
    "9.6": "104,167",
    "10": "100,000",
}  # requests a second and core, by their cost
FIGURES = ["2,000", "2%", "1.50", "2.00", "3.00", "5.0"]


def test_a_row_has_the_figures_and_the_ratio() -> None:
    shown = rows(table(outcome([result("lbproxy", 9, 9.2), result("nginx", 10, 10)])))
    assert shown == [
        ["small", "lbproxy", "9.1", CORE["9.1"], *FIGURES, "0.91 (0.90 to 0.92)"],
        ["small", "nginx", "10.0", CORE["10"], *FIGURES, "1.00 (1.00 to 1.00)"],
    ]


def test_noise_is_said_instead_of_a_ratio() -> None:
    shown = rows(table(outcome([result("lbproxy", 9, 12), result("nginx", 10, 10)])))
    assert shown[0][-1] == "noise: 0.90 to 1.20"


def test_of_several_runs_the_worst_is_shown() -> None:
    runs = [[result("lbproxy", cost, cost), result("nginx", 10, 10)] for cost in (8, 9)]
    assert rows(table(outcome(*runs)))[0] == ["small", "lbproxy", "9.0", CORE["9"], *FIGURES, "0.90 (0.90 to 0.90)"]
    assert "runs: 2" in heading(outcome(*runs))


def test_the_summary_sets_lbproxy_beside_each_other_one() -> None:
    shown = rows(summary(outcome([result("lbproxy", 9, 9), result("nginx", 10, 10), result("caddy", 90, 90)])))
    assert shown == [["small", "9.0", "0.90", "0.10"]]


def test_each_ratio_of_the_summary_is_the_worst_of_its_own() -> None:
    first = [result("lbproxy", 9, 9), result("nginx", 10, 10), result("haproxy", 18, 18)]
    second = [result("lbproxy", 8, 8), result("nginx", 10, 10), result("haproxy", 10, 10)]
    assert rows(summary(outcome(first, second))) == [["small", "9.0", "0.90", "0.80"]]


def test_lbproxy_is_set_beside_itself_but_not_beside_who_does_other_work() -> None:
    made = outcome([result("lbproxy", 10, 10), result("nginx", 10, 10), result(AS_BASE, 9.6, 9.6)])
    assert rows(summary(made)) == [["small", "10.0", "1.00", "1.04"]]
    assert rows(table(made))[-1] == ["small", AS_BASE, "9.6", CORE["9.6"], *FIGURES, ""]


def test_what_small_requests_wait_beside_a_load_is_a_table_of_its_own() -> None:
    made = beside(outcome([busy("lbproxy", 6, 20), busy("nginx", 60, 100), busy("haproxy", 12, 16)]))
    assert made is not None
    assert rows(made) == [
        ["busy", "new", "lbproxy", "6.0", "20.0", "0.10, 0.20", "0.50, 1.25"],
        ["busy", "new", "nginx", "60.0", "100.0", "", ""],
        ["busy", "new", "haproxy", "12.0", "16.0", "", ""],
    ]
    assert beside(outcome([result("lbproxy", 9, 9)])) is None


def test_of_several_runs_the_longest_wait_is_shown() -> None:
    made = beside(outcome(*([busy("lbproxy", 6, p99)] for p99 in (20, 30, 10))))
    assert made is not None
    assert rows(made) == [["busy", "new", "lbproxy", "6.0", "30.0"]]


def test_an_error_beside_the_load_is_one_of_the_scenario() -> None:
    made = outcome([busy("lbproxy", 6, 20, errors=1), busy("nginx", 6, 20)])
    assert rows(summary(made)) == [["busy", "10.0", "lbproxy: 2 errors"]]


def test_says_what_was_not_measured() -> None:
    made = Outcome({"plan": {"rounds": 2}}, (Run((), {"tls": "nothing answered"}),))
    assert heading(made).splitlines() == ["- plan: rounds 2", "- NOT MEASURED in run 1: tls: nothing answered"]
