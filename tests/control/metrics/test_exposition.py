from __future__ import annotations

from typing import Any

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from lbproxy.control.metrics.exposition import render
from lbproxy.control.metrics.rows import Exemplars
from lbproxy.control.metrics.table import TABLE
from lbproxy.record import Exemplar
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


def test_openmetrics_has_exemplars_and_the_text_format_none() -> None:
    given = "Front-End/4711:a_b.c~d+e=f@g-h"
    some: Exemplars = {("connectors", "c1"): [Exemplar(0.0005, 20.0, given, "0af7651916cd43dd8448eb211c80319c")]}
    body, _ = render(snapshot(), "application/openmetrics-text; version=1.0.0", some)
    parse: Any = openmetrics_parser.text_string_to_metric_families  # has no types
    [family] = [one for one in parse(body.decode()) if one.name == "lbproxy_backend_first_byte_seconds"]
    [sample] = [one for one in family.samples if one.exemplar]
    assert sample.labels["backend"] == "c1"
    assert sample.exemplar.value <= float(sample.labels["le"])
    assert sample.exemplar.labels == {"request_id": given, "trace_id": "0af7651916cd43dd8448eb211c80319c"}
    assert b"0af7" not in render(snapshot(), "", some)[0]


def test_names_cannot_break_the_format() -> None:
    hostile = snapshot()
    hostile["version"] = 'x"\n} 1\nlbproxy_forged 1\\'
    body, _ = render(hostile, "")
    assert b"\nlbproxy_forged" not in body
    [info] = [m for m in parser.text_string_to_metric_families(body.decode()) if m.name == "lbproxy_info"]
    assert info.samples[0].labels == {"version": hostile["version"]}
