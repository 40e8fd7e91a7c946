import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bench.failure.figures import Figures
from bench.failure.report import Row, heading, save, table

FIGURES = Figures(
    gets=3000,
    gets_failed=4,
    posts=1000,
    posts_failed=2,
    posts_unreached=1,
    posts_twice=0,
    p50=0.021,
    p99=1.4996,
    eject=0.01,
    readmit=1.5,
    watched=True,
    kinds={"GET 502": 4},
)


def cells(figures: Figures) -> list[str]:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table([Row("kill", "lbproxy", True, figures)]))
    last = [line for line in captured.get().splitlines() if line.startswith("|")][-1]
    return [cell.strip() for cell in last.strip("|").split("|")]


def test_a_line_has_the_figures() -> None:
    counts = ["4 of 3,000", "2 of 1,000", "1", "0"]
    assert cells(FIGURES) == ["kill", "lbproxy", "best", *counts, "21", "1,500", "0.01", "1.50"]


def test_never_ejected_has_no_return() -> None:
    assert cells(replace(FIGURES, eject=None, readmit=None))[-2:] == ["never", ""]


def test_never_back() -> None:
    assert cells(replace(FIGURES, readmit=None))[-2:] == ["0.01", "never"]


def test_what_was_not_watched_is_not_said() -> None:
    assert cells(replace(FIGURES, eject=None, readmit=None, watched=False))[-2:] == ["", ""]


def test_what_was_not_played_is_said_above_the_table() -> None:
    rows = [Row("kill", "nginx", False, FIGURES), Row("black-hole", "nginx", False, None, "needs root")]
    said = heading({"plan": {"rate": 500}}, rows)
    assert said.splitlines() == ["- plan: rate 500", "- NOT PLAYED: black-hole, nginx default: needs root"]
    assert table(rows).row_count == 1


def test_the_json_has_everything(tmp_path: Path) -> None:
    save(tmp_path / "run.json", {"made": "today"}, [Row("kill", "nginx", False, FIGURES)])
    case = json.loads((tmp_path / "run.json").read_text())["cases"][0]
    assert (case["fault"], case["figures"]["kinds"]) == ("kill", {"GET 502": 4})
