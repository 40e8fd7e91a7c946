from __future__ import annotations

from prometheus_client.core import Metric

from lbproxy.control.metrics.rows import Counter, Gauge, Histogram
from tests.control.sample import snapshot


def samples(metric: Metric) -> list[tuple[str, dict[str, str], float]]:
    return [(sample.name, sample.labels, sample.value) for sample in metric.samples]


def test_a_gauge() -> None:
    row = Gauge("lbproxy_x", ("a", "b"), "Help", lambda s: [(("1", "2"), 3), (("4", "5"), s["pid"])])
    assert samples(row.family(snapshot())) == [
        ("lbproxy_x", {"a": "1", "b": "2"}, 3),
        ("lbproxy_x", {"a": "4", "b": "5"}, 4711),
    ]


def test_a_counter_keeps_its_whole_name() -> None:
    row = Counter("lbproxy_x_total", (), "Help", lambda s: [((), 3)])
    assert samples(row.family(snapshot())) == [("lbproxy_x_total", {}, 3)]


def test_a_histogram_has_a_bucket_without_bound() -> None:
    row = Histogram("lbproxy_x_seconds", (), "Help", lambda s: [((), s["request_seconds"])])
    assert samples(row.family(snapshot())) == [
        ("lbproxy_x_seconds_bucket", {"le": "0.005"}, 100),
        ("lbproxy_x_seconds_bucket", {"le": "0.5"}, 590),
        ("lbproxy_x_seconds_bucket", {"le": "+Inf"}, 602),
        ("lbproxy_x_seconds_count", {}, 602),
        ("lbproxy_x_seconds_sum", {}, 33.25),
    ]
