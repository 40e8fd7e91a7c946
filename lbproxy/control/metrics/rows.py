"""What a row of the table of metrics is, by type of metric."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import ClassVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.core import Exemplar as OfBucket

from lbproxy.control.counts import Durations
from lbproxy.control.snapshot import Snapshot
from lbproxy.record import Exemplar

Sample = tuple[tuple[str, ...], float]
"""The values of a row's labels, in the row's order, and the number."""

Exemplars = Mapping[tuple[str, ...], Sequence[Exemplar]]
"""Requests as examples of durations, by the values of a row's labels."""

Samples = Callable[[Snapshot], Iterable[Sample]]


_LONGEST = 128
"""Characters of the labels of an exemplar, names and values together (OpenMetrics 1.0, "Exemplars")."""


@dataclass(frozen=True, slots=True)
class Row(ABC):
    """One metric: its whole name, the names of its labels, and its help text."""

    kind: ClassVar[str]
    name: str
    labels: tuple[str, ...]
    help: str

    @abstractmethod
    def family(self, snapshot: Snapshot, exemplars: Exemplars) -> Metric:
        """The metric with its samples, as prometheus_client wants it. exemplars: for the row that shows them."""


@dataclass(frozen=True, slots=True)
class Gauge(Row):
    """A number that goes up and down."""

    kind: ClassVar[str] = "gauge"
    samples: Samples

    def family(self, snapshot: Snapshot, _: Exemplars) -> Metric:
        family = GaugeMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in self.samples(snapshot):
            family.add_metric(labels, value)
        return family


@dataclass(frozen=True, slots=True)
class Counter(Row):
    """A number that only goes up; its name ends in _total."""

    kind: ClassVar[str] = "counter"
    samples: Samples

    def family(self, snapshot: Snapshot, _: Exemplars) -> Metric:
        family = CounterMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in self.samples(snapshot):
            family.add_metric(labels, value)
        return family


@dataclass(frozen=True, slots=True)
class Histogram(Row):
    """A distribution, with fixed buckets. has_exemplars: its times are those of requests to backends."""

    kind: ClassVar[str] = "histogram"
    durations: Callable[[Snapshot], Iterable[tuple[tuple[str, ...], Durations]]]
    has_exemplars: bool = False

    def family(self, snapshot: Snapshot, exemplars: Exemplars) -> Metric:
        family = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        for labels, durations in self.durations(snapshot):
            buckets = [*durations["buckets"], (inf, durations["count"])]
            examples = _examples(buckets, exemplars.get(labels, ()) if self.has_exemplars else ())
            shown = [
                (_bound(le), count, examples[le]) if le in examples else (_bound(le), count) for le, count in buckets
            ]
            family.add_metric(labels, shown, durations["sum"])
        return family


def _bound(seconds: float) -> str:
    return "+Inf" if seconds == inf else str(float(seconds))


def _examples(buckets: Iterable[tuple[float, int]], exemplars: Iterable[Exemplar]) -> dict[float, OfBucket]:
    """The newest one of each bucket, by its upper bound."""
    bounds = [le for le, count in buckets if count]  # a count may be older than the request
    newest = {bisect_left(bounds, one.seconds): one for one in sorted(exemplars, key=lambda one: one.at)}
    return {bounds[at]: _shown(one) for at, one in newest.items() if at < len(bounds)}


def _shown(exemplar: Exemplar) -> OfBucket:
    labels = {name: value for name in ("trace_id", "request_id") if (value := getattr(exemplar, name))}
    while sum(len(name) + len(value) for name, value in labels.items()) > _LONGEST:
        labels.popitem()
    return OfBucket(labels, exemplar.seconds, round(exemplar.at, 3))
