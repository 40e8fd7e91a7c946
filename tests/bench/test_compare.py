from pathlib import Path

from click.testing import CliRunner

from bench.load.compare import comparison, main
from bench.load.outcome import Result
from bench.load.saved import save
from tests.bench.made_up import outcome, result, rows

NGINX = result("nginx", 10, 10)


def changed(old: Result, new: Result) -> list[list[str]]:
    return rows(comparison(outcome([old, NGINX]), outcome([new, result("nginx", 20, 20)])))


def test_compares_the_ratios_and_not_the_microseconds() -> None:
    assert changed(result("lbproxy", 9, 9), result("lbproxy", 16, 16)) == [
        ["small", "lbproxy", "0.90 (0.90 to 0.90)", "0.80 (0.80 to 0.80)", "-11.1%"]
    ]


def test_says_when_a_change_is_within_the_noise() -> None:
    assert changed(result("lbproxy", 9, 8.6), result("lbproxy", 17.8, 18.2)) == [
        ["small", "lbproxy", "0.88 (0.86 to 0.90)", "0.90 (0.89 to 0.91)", "within the noise (+2.3%)"]
    ]


def test_compares_no_ratio_that_is_not_to_be_trusted() -> None:
    assert changed(result("lbproxy", 9, 12), result("lbproxy", 16, 16))[0][2:] == [
        "noise: 0.90 to 1.20",
        "0.80 (0.80 to 0.80)",
        "unknown",
    ]


def test_what_only_one_of_them_has_is_left_out() -> None:
    assert changed(result("caddy", 9, 9), result("lbproxy", 16, 16)) == []


def test_reads_two_files(tmp_path: Path) -> None:
    files = [tmp_path / "old.json", tmp_path / "new.json"]
    for file, cost in zip(files, (9, 8), strict=True):
        save(outcome([result("lbproxy", cost, cost), NGINX]), file)
    done = CliRunner().invoke(main, [*map(str, files)])
    assert "-11.1%" in done.stdout
