from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbproxy.config import load
from lbproxy.preflight import Report
from lbproxy.preflight.discovery import inspect_discovery

FILE = """
server_url = "http://login.test"
[listener.login]
bind = "127.0.0.1:8080"
pool = "p"
[pool.p]
max_backends = 10
discover = { kind = "file", path = "list.json" }
"""


def found(folder: Path, report: Report, config: str = FILE) -> list[str]:
    (folder / "lb.toml").write_text(config)
    inspect_discovery(report, load(folder / "lb.toml", {}), "p")
    assert report.problems == [], "lbproxy starts all the same"
    return [str(problem) for problem in report.tolerated]


def write(folder: Path, *members: tuple[str, str]) -> None:
    (folder / "list.json").write_text(json.dumps([{"name": name, "url": url} for name, url in members]))


def test_a_sound_list(tmp_path: Path, report: Report) -> None:
    write(tmp_path, ("c1", "http://c1:4000"))
    assert found(tmp_path, report) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "No such file or directory"), ("[", "it is not JSON: "), ("{}", "it has no backends")],
)
def test_one_that_cannot_be_used(tmp_path: Path, report: Report, content: str | None, problem: str) -> None:
    if content is not None:
        (tmp_path / "list.json").write_text(content)
    [text] = found(tmp_path, report)
    assert text.startswith(f"pool.p.discover.path: {tmp_path}/list.json: {problem}")


def test_backends_that_would_be_left_out(tmp_path: Path, report: Report) -> None:
    write(tmp_path, ("c1", "http://c1:4000"), ("c1", "http://c2:4000"), ("c3", "http://127.0.0.1:8080"))
    where = f"pool.p.discover.path: {tmp_path}/list.json: "
    assert found(tmp_path, report) == [
        f"{where}c1: there are two of this name, http://c1:4000 stays",
        f"{where}c3: http://127.0.0.1:8080 is lbproxy's own listener.login (127.0.0.1:8080)",
    ]


def test_many_that_would_be_left_out_are_counted(tmp_path: Path, report: Report) -> None:
    write(tmp_path, *((f"c{number}", f"http://c{number}:4000") for number in range(20)))
    *some, more = found(tmp_path, report)
    assert len(some) == 5
    assert more.endswith(": 5 more backends are left out")


def test_other_kinds_have_no_file(tmp_path: Path, report: Report) -> None:
    dns = FILE.replace('kind = "file", path = "list.json"', 'kind = "dns", name = "c.test", port = 80')
    assert found(tmp_path, report, dns) == []


def test_a_file_that_is_made_at_the_start(tmp_path: Path, report: Report) -> None:
    report.made_at_start = (tmp_path / "run",)
    assert found(tmp_path, report, FILE.replace("list.json", "run/list.json")) == []
