import json
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.load.outcome import Outcome, Run
from bench.load.saved import read, save
from tests.bench.made_up import busy, outcome, result


def test_is_read_as_it_was_saved(tmp_path: Path) -> None:
    made = Outcome(
        {"made": "today", "plan": {"rounds": 2}},
        (Run((result("nginx", 10, 11), busy("nginx", 6, 20)), {"tls": "no answer"}),),
    )
    save(made, tmp_path / "folder" / "run.json")
    assert read(tmp_path / "folder" / "run.json") == made


def test_the_worst_ratio_of_several_runs_is_in_the_file(tmp_path: Path) -> None:
    better, worse = ([result("lbproxy", cost, cost), result("nginx", 10, 10)] for cost in (8, 9))
    save(outcome(better, worse), tmp_path / "run.json")
    found = json.loads((tmp_path / "run.json").read_text())["worst"]
    ratio = {"value": 0.9, "low": 0.9, "high": 0.9}
    assert found == {"small": {"nginx": {"ratio": ratio, "run": 1, "trusted": 2, "runs": 2}}}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"about": {}, "runs": [{}]}', '{"about": {}, "runs": [7]}'])
def test_another_file_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(BenchError, match=r"run\.json is not a saved run"):
        read(path)
