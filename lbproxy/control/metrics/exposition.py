"""A scrape: the snapshot, this process and its garbage collector, in the format that Prometheus asked for."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from lbproxy.control.metrics.rows import Exemplars
from lbproxy.control.metrics.table import TABLE
from lbproxy.control.snapshot import Snapshot


def render(snapshot: Snapshot, accept: str, exemplars: Exemplars | None = None) -> tuple[bytes, str]:
    """The body and the content type of a scrape whose Accept header is `accept`. OpenMetrics has `exemplars` in it.

    A thousand backends take a tenth of a second, so an event loop that serves users calls it in a thread.
    """
    registry = CollectorRegistry()
    registry.register(_SnapshotCollector(snapshot, exemplars or {}))
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _SnapshotCollector(Collector):
    """What prometheus_client asks for the metrics of TABLE."""

    def __init__(self, snapshot: Snapshot, exemplars: Exemplars) -> None:
        self._snapshot = snapshot
        self._exemplars = exemplars

    def collect(self) -> Iterator[Metric]:
        return (row.family(self._snapshot, self._exemplars) for row in TABLE)
