from __future__ import annotations

from prometheus_client.core import Metric

from lbproxy.control.metrics.rows import Counter, Exemplars, Gauge, Histogram
from lbproxy.control.metrics.table import TABLE
from lbproxy.record import Exemplar
from tests.control.sample import snapshot


def samples(metric: Metric) -> list[tuple[str, dict[str, str], float]]:
    return [(sample.name, sample.labels, sample.value) for sample in metric.samples]


def test_a_gauge() -> None:
    row = Gauge("lbproxy_x", ("a", "b"), "Help", lambda s: [(("1", "2"), 3), (("4", "5"), s["pid"])])
    assert samples(row.family(snapshot(), {})) == [
        ("lbproxy_x", {"a": "1", "b": "2"}, 3),
        ("lbproxy_x", {"a": "4", "b": "5"}, 4711),
    ]


def test_a_counter_keeps_its_whole_name() -> None:
    row = Counter("lbproxy_x_total", (), "Help", lambda s: [((), 3)])
    assert samples(row.family(snapshot(), {})) == [("lbproxy_x_total", {}, 3)]


def exemplars(*some: Exemplar) -> dict[str, tuple[float, dict[str, str], object]]:
    """By the bucket that shows it, of a histogram of the sample."""
    row = Histogram("lbproxy_x_seconds", (), "Help", lambda s: [((), s["request_seconds"])], has_exemplars=True)
    return {
        sample.labels["le"]: (sample.exemplar.value, sample.exemplar.labels, sample.exemplar.timestamp)
        for sample in row.family(snapshot(), {(): some}).samples
        if sample.exemplar is not None
    }


def test_a_bucket_has_its_newest_exemplar() -> None:
    old, new = Exemplar(0.004, 10.0, "old", ""), Exemplar(0.005, 20.12345, "new", "0af7")
    late = Exemplar(7.5, 15.0, "late", "")
    assert exemplars(new, old, late) == {
        "0.005": (0.005, {"trace_id": "0af7", "request_id": "new"}, 20.123),
        "+Inf": (7.5, {"request_id": "late"}, 15.0),
    }
    assert exemplars() == {}


def test_labels_of_an_exemplar_are_short_enough() -> None:
    """A trusted client may name its requests at length (OpenMetrics takes 128 characters)."""
    found = exemplars(Exemplar(0.1, 10.0, "x" * 118, ""), Exemplar(0.001, 10.0, "y" * 100, "0" * 32))
    assert found["0.5"][1] == {"request_id": "x" * 118}
    assert found["0.005"][1] == {"trace_id": "0" * 32}
    assert exemplars(Exemplar(0.1, 10.0, "x" * 119, ""))["0.5"][1] == {}


def test_only_one_histogram_has_exemplars() -> None:
    row = Histogram("lbproxy_x_seconds", (), "Help", lambda s: [((), s["request_seconds"])])
    some: Exemplars = {(): [Exemplar(0.1, 10.0, "x", "")]}
    assert not any(sample.exemplar for sample in row.family(snapshot(), some).samples)
    assert [row.name for row in TABLE if isinstance(row, Histogram) and row.has_exemplars] == [
        "lbproxy_backend_first_byte_seconds"
    ]


def test_a_histogram_has_a_bucket_without_bound() -> None:
    row = Histogram("lbproxy_x_seconds", (), "Help", lambda s: [((), s["request_seconds"])])
    assert samples(row.family(snapshot(), {})) == [
        ("lbproxy_x_seconds_bucket", {"le": "0.005"}, 100),
        ("lbproxy_x_seconds_bucket", {"le": "0.5"}, 590),
        ("lbproxy_x_seconds_bucket", {"le": "+Inf"}, 602),
        ("lbproxy_x_seconds_count", {}, 602),
        ("lbproxy_x_seconds_sum", {}, 33.25),
    ]
