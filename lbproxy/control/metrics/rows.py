"""What a row of the table of metrics is, by type of metric."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from lbproxy.control.counts import Durations
from lbproxy.control.snapshot import Snapshot

Sample = tuple[tuple[str, ...], float]
"""The values of a row's labels, in the row's order, and the number."""

Samples = Callable[[Snapshot], Iterable[Sample]]


@dataclass(frozen=True, slots=True)
class Row(ABC):
    """One metric: its whole name, the names of its labels, and its help text."""

    kind: ClassVar[str]
    name: str
    labels: tuple[str, ...]
    help: str

    @abstractmethod
    def family(self, snapshot: Snapshot) -> Metric:
        """The metric with its samples, as prometheus_client wants it."""


@dataclass(frozen=True, slots=True)
class Gauge(Row):
    """A number that goes up and down."""

    kind: ClassVar[str] = "gauge"
    samples: Samples

    def family(self, snapshot: Snapshot) -> Metric:
        family = GaugeMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in self.samples(snapshot):
            family.add_metric(labels, value)
        return family


@dataclass(frozen=True, slots=True)
class Counter(Row):
    """A number that only goes up; its name ends in _total."""

    kind: ClassVar[str] = "counter"
    samples: Samples

    def family(self, snapshot: Snapshot) -> Metric:
        family = CounterMetricFamily(self.name, self.help, labels=self.labels)
        for labels, value in self.samples(snapshot):
            family.add_metric(labels, value)
        return family


@dataclass(frozen=True, slots=True)
class Histogram(Row):
    """A distribution, with fixed buckets."""

    kind: ClassVar[str] = "histogram"
    durations: Callable[[Snapshot], Iterable[tuple[tuple[str, ...], Durations]]]

    def family(self, snapshot: Snapshot) -> Metric:
        family = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        for labels, durations in self.durations(snapshot):
            buckets = [(str(float(le)), count) for le, count in durations["buckets"]]
            family.add_metric(labels, [*buckets, ("+Inf", durations["count"])], durations["sum"])
        return family
