import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.micro.__main__ import main
from bench.micro.case import Case
from bench.micro.cases import cases
from bench.micro.timing import Timing, measure


def test_every_case_does_what_is_timed() -> None:
    for name, case in cases().items():  # making them checks them
        assert case.call() is not None, name


def test_time_is_of_one_of_the_times_that_a_call_works() -> None:
    def call() -> None:
        time.sleep(0.001)

    assert measure(Case(call)).best_ns > 900_000
    assert measure(Case(call, 10**9)).best_ns < 1  # unless one sleep takes a second


@pytest.mark.parametrize(
    ("best", "median", "change"),
    [(80, 81, "-20%"), (110, 112, "+10%"), (104, 105, "within the noise (+4%)"), (80, 120, "within the noise (-20%)")],
)
def test_a_change_is_one_when_it_is_more_than_the_noise(best: float, median: float, change: str) -> None:
    assert Timing(best, median).change(Timing(100, 105)) == change


def test_the_first_run_is_the_baseline_until_another_is_saved(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "micro.json"
    arguments = ["--only", "NTLM", "--baseline", str(file)]

    def saved(*more: str) -> str:
        assert CliRunner().invoke(main, [*arguments, *more]).exit_code == 0
        return file.read_text()

    first = saved()
    assert saved() == first
    assert saved("--save") != first


def test_another_file_is_no_baseline(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("[]")
    done = CliRunner().invoke(main, ["--only", "NTLM", "--baseline", str(tmp_path / "file")])
    assert "is not a saved baseline" in done.output
