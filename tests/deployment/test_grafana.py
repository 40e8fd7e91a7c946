"""config/grafana: the file is what the tables say, Grafana can lay it out, and each query is of metrics that exist."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from lbproxy.control.metrics.table import TABLE
from tests.prometheus import needs_prometheus, promtool
from tools.grafana import FILE, GRID, queries, text
from tools.grafana_panels import ROWS

LABELS = {row.name: {*row.labels, "job", "instance"} for row in TABLE}
OF_ANY_PROCESS = {"process_resident_memory_bytes": {"job", "instance"}}
"""What prometheus_client says of the process."""

METRIC = re.compile(r"\b((?:lbproxy|process)_\w+?)(_bucket)?\{([^}]*)\}")
LEGEND = re.compile(r"\{\{(\w+)\}\}")


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def test_the_file_is_what_the_tables_say() -> None:
    assert FILE.read_text() == text(), "run .venv/bin/python -m tools.grafana"


def test_grafana_can_tell_it_from_others_and_fits_it_to_any_prometheus(written: dict[str, Any]) -> None:
    assert (written["uid"], written["title"]) == ("lbproxy", "lbproxy")
    assert "id" not in written  # it is the database's
    variables = {one["name"]: one for one in written["templating"]["list"]}
    assert list(variables) == ["datasource", "job", "instance", "pool"]
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    sources = re.findall(r'"uid": "([^"]*)"', FILE.read_text())
    assert set(sources) == {"lbproxy", "${datasource}"}
    assert sources.count("lbproxy") == 1


def test_ids_are_unique_and_no_panel_covers_another(written: dict[str, Any]) -> None:
    panels = written["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    for panel in panels:
        grid = panel["gridPos"]
        assert grid["x"] >= 0
        assert grid["x"] + grid["w"] <= GRID
    for one, other in combinations(panels, 2):
        a, b = one["gridPos"], other["gridPos"]
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        apart = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or apart, (one["title"], other["title"])


def test_each_panel_has_a_title_and_each_query_a_letter(written: dict[str, Any]) -> None:
    shown = [panel for panel in written["panels"] if panel["type"] != "row"]
    assert len(shown) == sum(len(panels) for panels in ROWS.values())
    for panel in shown:
        assert panel["title"]
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == sorted(set(letters))
        assert letters


def test_queries_name_metrics_and_labels_that_there_are() -> None:
    known = LABELS | OF_ANY_PROCESS
    for query in queries():
        found = METRIC.findall(query)
        assert found, query
        for name, bucket, matchers in found:
            assert name in known, query
            labels = known[name] | ({"le"} if bucket else set())
            assert set(re.findall(r"(\w+)(?:=|!|$)[=~]?\"", matchers)) <= labels, query
            for by in re.findall(r"by \(([^)]*)\)", query):
                assert set(by.split(", ")) <= labels, query


def test_a_legend_names_labels_that_are_left() -> None:
    for panels in ROWS.values():
        for panel in panels:
            for legend, query in panel.queries.items():
                left = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", query))))
                assert not legend or set(LEGEND.findall(legend)) == left - {"le"}, panel.title


def test_every_metric_is_shown() -> None:
    shown = {name for query in queries() for name, _, _ in METRIC.findall(query)}
    assert LABELS.keys() - shown == set()


@needs_prometheus
def test_promtool_understands_every_query(tmp_path: Path) -> None:
    rules = [{"record": f"q{number}", "expr": query} for number, query in enumerate(queries())]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}).replace("$__rate_interval", "1m"))
    assert f"{len(rules)} rules found" in promtool("check", "rules", str(path))
