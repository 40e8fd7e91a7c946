from rich.console import Console
from rich.table import Table

from bench.load.load import Load
from bench.load.outcome import Outcome, Result, Round
from bench.load.report import comparison, heading, table


def result(peer: str, *costs: float) -> Result:
    load = Load(1000, 0, 0.5, 300_000, 1500.0, 2000.0, 3000.0)
    return Result("small", peer, 5_000_000, tuple(Round(load, round(cost * 1_000_000)) for cost in costs))


def outcome(*results: Result) -> Outcome:
    return Outcome({"plan": {"rounds": 2}}, results, {"tls": "nothing answered"})


def rows(shown: Table) -> list[list[str]]:
    """The cells of the table's rows as they are printed."""
    console = Console(width=200)
    with console.capture() as captured:
        console.print(shown)
    lines = [line for line in captured.get().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_a_row_has_the_figures_and_the_ratio() -> None:
    shown = rows(table(outcome(result("lbproxy", 9, 9), result("nginx", 10, 10)), 1.1))
    figures = ["1.00", "2,000", "2%", "1.50", "2.00", "3.00", "5.0"]
    assert shown == [["small", "lbproxy", "9.0", *figures, "0.90"], ["small", "nginx", "10.0", *figures, "1.00"]]


def test_a_wide_spread_is_said_instead_of_a_ratio() -> None:
    shown = rows(table(outcome(result("lbproxy", 9, 12), result("nginx", 10, 10)), 1.1))
    assert shown[0][-1] == "lbproxy: spread 1.33"


def test_compares_the_ratios_of_two_runs() -> None:
    old = outcome(result("lbproxy", 9, 9), result("nginx", 10, 10), result("haproxy", 9, 9))
    new = outcome(result("lbproxy", 16, 16), result("nginx", 20, 20))
    assert rows(comparison(old, new, 1.1)) == [
        ["small", "lbproxy", "16.0", "9.0", "0.80", "0.90", "-11.1%"],
        ["small", "nginx", "20.0", "10.0", "1.00", "1.00", "+0.0%"],
    ]


def test_compares_no_ratio_that_is_not_to_be_trusted() -> None:
    old = outcome(result("lbproxy", 9, 12), result("nginx", 10, 10))
    new = outcome(result("lbproxy", 16, 16), result("nginx", 20, 20))
    assert rows(comparison(old, new, 1.1))[0] == [
        "small",
        "lbproxy",
        "16.0",
        "10.5",
        "0.80",
        "lbproxy: spread 1.33",
        "",
    ]


def test_says_what_was_not_measured() -> None:
    assert heading(outcome()).splitlines() == ["- plan: rounds 2", "- NOT MEASURED: tls: nothing answered"]
