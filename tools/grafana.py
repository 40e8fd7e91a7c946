"""config/grafana/lbproxy.json, the Grafana dashboard, made from the tables in grafana_panels.py.

Run it after a change of these, or of the reasons:

    .venv/bin/python -m tools.grafana

tests/deployment/test_grafana.py holds the file to them, and each query to the metrics that there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

from tools.grafana_panels import ROWS, Panel

FILE = Path(__file__).parent.parent / "config" / "grafana" / "lbproxy.json"

JOB = 'job=~"$job", instance=~"$instance"'
STANDS_FOR = {"job": JOB, "pool": f'{JOB}, pool=~"$pool"', "range": "[$__rate_interval]"}

GRID = 24
"""Columns of Grafana's grid."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def query(text: str) -> str:
    """A query as Grafana has it, whose own variables begin with $ too."""
    return Template(text).substitute(STANDS_FOR)


def queries() -> Iterator[str]:
    """Every query of the dashboard."""
    return (query(text) for panels in ROWS.values() for panel in panels for text in panel.queries.values())


def _field_config(panel: Panel) -> dict[str, Any]:
    custom = {"timeseries": {"fillOpacity": 8, "showPoints": "never", "spanNulls": False}}.get(panel.kind, {})
    defaults = {
        "unit": panel.unit,
        **({} if panel.kind == "stat" else {"min": 0}),
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "custom": custom,
        "mappings": panel.mappings,
        "thresholds": {"mode": "absolute", "steps": [{"value": at, "color": color} for at, color in panel.steps]},
    }
    return {"defaults": defaults, "overrides": []}


_LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True}
_LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}},
    "stat": {"colorMode": "value", "graphMode": "area", "reduceOptions": _LAST, "textMode": "value"},
    "state-timeline": {"legend": _LEGEND, "mergeValues": True, "rowHeight": 0.8, "showValue": "never"},
    "bargauge": {"displayMode": "basic", "orientation": "horizontal", "reduceOptions": _LAST, "valueMode": "text"},
}


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    targets = [
        {
            "datasource": DATASOURCE,
            "expr": query(text),
            "instant": panel.kind == "bargauge",
            "legendFormat": legend or "__auto",
            "range": panel.kind != "bargauge",
            "refId": chr(ord("A") + index),
        }
        for index, (legend, text) in enumerate(panel.queries.items())
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": DATASOURCE,
        "gridPos": {"h": panel.height, "w": panel.width, "x": x, "y": y},
        "fieldConfig": _field_config(panel),
        "options": _OPTIONS[panel.kind],
        "targets": targets,
    }


def _panels() -> Iterator[dict[str, Any]]:
    """Rows and panels, placed from left to right and from above to below; panels of one line have one height."""
    number = y = 0
    for title, panels in ROWS.items():
        number += 1
        grid = {"h": 1, "w": GRID, "x": 0, "y": y}
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": grid, "panels": []}
        x, y, line = 0, y + 1, 0
        for panel in panels:
            if x + panel.width > GRID:
                x, y = 0, y + line
            number, line = number + 1, panel.height
            yield _panel(panel, number, x, y)
            x += panel.width
        y += line


def _variable(name: str, asked: str, label: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": asked,
        "query": {"qryType": 1, "query": asked, "refId": f"variable-{name}"},
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "refresh": 2,
        "sort": 1,
    }


def dashboard() -> dict[str, Any]:
    """The whole file, as Grafana imports and provisions it."""
    datasource = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    variables = [
        {**datasource, "refresh": 1},
        _variable("job", "label_values(lbproxy_info, job)", "Job"),
        _variable("instance", 'label_values(lbproxy_info{job=~"$job"}, instance)', "Balancer"),
        _variable("pool", f"label_values(lbproxy_backend_up{{{JOB}}}, pool)", "Pool"),
    ]
    return {
        "uid": "lbproxy",
        "title": "lbproxy",
        "description": "The pools, backends and balancers of lbproxy.",
        "tags": ["lbproxy"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": variables},
        "panels": list(_panels()),
    }


def text() -> str:
    """The file's content."""
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
