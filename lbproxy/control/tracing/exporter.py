"""Sends traces to a collector by OTLP over HTTP, in a thread of its own, so that no request ever waits for it.

What waits is bounded. A collector that is down or slow, or answers anything but success, loses the traces that were
sent to it: they are counted, and logged at most once a minute. Its answers are not read.
"""

from __future__ import annotations

import logging
import queue
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbproxy.control.background import start_thread
from lbproxy.control.counts import TracingView
from lbproxy.control.log import event
from lbproxy.record import Trace

if TYPE_CHECKING:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

log = logging.getLogger(__name__)

LIMIT = 2048
"""So many traces wait at most. Each has about a kilobyte."""

BATCH = 64
"""Traces in one request to the collector, at most."""

TIMEOUT = 5.0
"""Seconds for a batch, further attempts included."""

REPORT_EVERY = 60.0
"""Seconds between two reports of lost traces."""

_END_WITHIN = 2.0
_SHOWN = 200  # characters of what the collector, or the library, has said


@dataclass(frozen=True, slots=True)
class Collector:
    """Where traces go. `url` is without /v1/traces.

    The files are for https; None: the system's authorities, and no certificate of our own.
    """

    url: str
    service_name: str
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class Exporter:
    """Make it after a fork, and on the event loop: `put` and `close` are called there."""

    def __init__(self, collector: Collector) -> None:
        self.exported = 0
        self._collector = collector
        self._put = self._taken = 0  # traces, ever
        self._refused = self._lost = 0  # by `put`, and by the thread
        self._reported, self._next_report = 0, 0.0
        self._queue: queue.SimpleQueue[list[Trace] | None] = queue.SimpleQueue()
        self._said = _LastWords()
        self._client: OTLPSpanExporter | None = None
        self._thread = start_thread(self._run, "traces")

    def __repr__(self) -> str:
        return f"<Exporter to {self._collector.url} exported={self.exported} dropped={self.dropped}>"

    @property
    def dropped(self) -> int:
        """Traces that never come to the collector."""
        return self._refused + self._lost

    def counted(self) -> TracingView:
        """Numbers so far; the requests are counted where they are sampled."""
        return {"sampled": 0, "exported": self.exported, "dropped": self.dropped}

    def put(self, traces: list[Trace]) -> bool:
        """Send these as soon as possible. They are dropped if too many wait; so they are always taken: True."""
        if self._put - self._taken + len(traces) > LIMIT:
            self._refused += len(traces)
        else:
            self._put += len(traces)
            self._queue.put(traces)
        self._report()
        return True

    def close(self, timeout: float = _END_WITHIN) -> None:
        """Send what waits, and end; after `timeout` seconds leave it."""
        self._queue.put(None)
        self._thread.join(timeout)
        if self._client is not None and self._thread.is_alive():
            self._client.shutdown()  # type: ignore[no-untyped-call]  # it waits for its next attempt no more
        self._next_report = 0.0
        self._report()

    def _report(self) -> None:
        if self.dropped > self._reported and time.monotonic() >= self._next_report:
            lost, why = self.dropped - self._reported, self._said.last or "the collector is too slow"
            event(log, logging.WARNING, "traces_lost", traces=lost, collector=self._collector.url, error=why)
            self._reported, self._next_report = self.dropped, time.monotonic() + REPORT_EVERY

    # --- the thread

    def _run(self) -> None:
        from lbproxy.control.tracing.spans import spans_of  # takes 0.1 s, and 12 MB

        _listen(self._said)
        self._client = client = _client(self._collector)
        resource = _resource(self._collector.service_name)
        while (traces := self._queue.get()) is not None:
            for start in range(0, len(traces), BATCH):
                some = traces[start : start + BATCH]
                if self._sent(client, [span for trace in some for span in spans_of(trace, resource)]):
                    self.exported += len(some)
                else:
                    self._lost += len(some)
                self._taken += len(some)
        client.shutdown()  # type: ignore[no-untyped-call]

    def _sent(self, client: OTLPSpanExporter, spans: Sequence[Any]) -> bool:
        from opentelemetry.sdk.trace.export import SpanExportResult

        try:
            return client.export(spans) is SpanExportResult.SUCCESS
        except Exception as error:  # of a library, in a thread that has to go on
            self._said.last = str(error)[:_SHOWN]
            return False


class _LastWords(logging.Handler):
    """Keeps what the library has logged last, which would be many lines of other words."""

    last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()[:_SHOWN]


def _listen(handler: logging.Handler) -> None:
    for name in ("opentelemetry", "urllib3"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False


def _resource(service_name: str) -> Any:
    import socket

    from opentelemetry.sdk.resources import Resource

    from lbproxy import __version__

    return Resource.create(
        {"service.name": service_name, "service.version": __version__, "host.name": socket.gethostname()}
    )


def _client(collector: Collector) -> OTLPSpanExporter:
    import requests
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    class Session(requests.Session):
        """Reads no answer further than its head: it could be endless."""

        def request(self, *arguments: Any, **options: Any) -> requests.Response:
            response = super().request(*arguments, **{**options, "stream": True})
            response.close()
            return response

    session = Session()
    session.trust_env = False  # no proxy, and no password of .netrc
    system = ssl.get_default_verify_paths()
    return OTLPSpanExporter(
        f"{collector.url}/v1/traces",
        certificate_file=str(collector.ca or system.cafile or system.capath),
        client_certificate_file=None if collector.certificate is None else str(collector.certificate),
        client_key_file=None if collector.key is None else str(collector.key),
        timeout=TIMEOUT,
        session=session,
    )
