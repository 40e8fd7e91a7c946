"""From the data path of a generation, here or in workers, to the collector of traces."""

from __future__ import annotations

from contextlib import AsyncExitStack

from lbproxy.config import Config
from lbproxy.control.tracing import Collector, Exporter
from lbproxy.process.workers.supervisor import WorkerSupervisor
from lbproxy.runtime.data_path import DataPath


def start_exporter(
    config: Config, stack: AsyncExitStack, data_path: DataPath | None, supervisor: WorkerSupervisor | None
) -> Exporter | None:
    """Send what is sampled from now on; None, if the configuration names no collector.

    Call it before anything else is registered on `stack`: what is sampled last has to come through.
    """
    tracing = config.tracing
    if tracing is None or not tracing.endpoint:
        return None
    exporter = Exporter(Collector(tracing.endpoint, tracing.service_name, tracing.ca, tracing.certificate, tracing.key))
    stack.callback(exporter.close)
    if data_path is not None:
        data_path.traces.hand_over = exporter.put
    if supervisor is not None:
        supervisor.traced = exporter.put
    return exporter
