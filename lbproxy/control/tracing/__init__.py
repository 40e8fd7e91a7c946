"""Traces of requests, on their way from the data path to a collector.

traces    what the data path has recorded, until it is handed over: in the same process, or to the generation
exporter  sends them by OTLP over HTTP, in a thread of its own
spans     one recorded request as the spans that a collector gets

`spans` needs the extra `tracing`, and is imported by the exporter's thread.
"""

from lbproxy.control.tracing.exporter import Collector, Exporter
from lbproxy.control.tracing.traces import Traces

__all__ = ["Collector", "Exporter", "Traces"]
