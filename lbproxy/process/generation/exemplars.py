"""Requests as examples of how long backends take, for the metrics: of this process and of workers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lbproxy.process.workers.supervisor import WorkerSupervisor
from lbproxy.record import Exemplar
from lbproxy.runtime.data_path import DataPath

if TYPE_CHECKING:  # it takes 3 MB
    from lbproxy.control.metrics.rows import Exemplars


class ExemplarSources:
    """Where requests are served: in a data path, or by the workers of a supervisor."""

    def __init__(self, data_path: DataPath | None, supervisor: WorkerSupervisor | None) -> None:
        self._data_path = data_path
        self._supervisor = supervisor

    def __repr__(self) -> str:
        return f"<exemplars of {self._data_path or self._supervisor!r}>"

    def __call__(self) -> Exemplars:
        """Those that there are now, by pool and backend."""
        found = defaultdict[tuple[str, ...], list[Exemplar]](list)
        for key, some in self._all():
            found[key] += some
        return found

    def _all(self) -> Iterator[tuple[tuple[str, ...], list[Exemplar]]]:
        if self._data_path is not None:
            for pool in self._data_path.pools.values():
                for backend in pool.backends:
                    yield (pool.name, backend.name), backend.latency.examples
        if self._supervisor is not None:
            for worker in self._supervisor.workers.values():
                for name, some in worker.exemplars.items():
                    yield tuple(name.split("/", 1)), some
