from __future__ import annotations

from typing import Any

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from lbproxy.control.metrics.exposition import render
from lbproxy.control.metrics.table import TABLE
from tests.control.sample import snapshot

ALL = {row.name for row in TABLE}


def test_a_scrape_without_preference_gets_text() -> None:
    body, content_type = render(snapshot(), "")
    assert content_type.startswith("text/plain; version=")
    metrics = {metric.name: metric for metric in parser.text_string_to_metric_families(body.decode())}
    assert {name.removesuffix("_total") for name in ALL} <= {name.removesuffix("_total") for name in metrics}
    [requests] = metrics["lbproxy_requests"].samples
    assert (requests.name, requests.labels, requests.value) == ("lbproxy_requests_total", {"listener": "login"}, 678)


def test_this_process_is_in_it() -> None:
    body, _ = render(snapshot(), "")
    assert b"\nprocess_resident_memory_bytes " in body
    assert b"\npython_gc_collections_total{" in body


def test_openmetrics_on_request() -> None:
    body, content_type = render(snapshot(), "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    parse: Any = openmetrics_parser.text_string_to_metric_families  # has no types
    assert list(parse(body.decode()))


def test_names_cannot_break_the_format() -> None:
    hostile = snapshot()
    hostile["version"] = 'x"\n} 1\nlbproxy_forged 1\\'
    body, _ = render(hostile, "")
    assert b"\nlbproxy_forged" not in body
    [info] = [m for m in parser.text_string_to_metric_families(body.decode()) if m.name == "lbproxy_info"]
    assert info.samples[0].labels == {"version": hostile["version"]}
