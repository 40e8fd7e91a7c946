"""What a worker tells of what it has counted: of each backend only what has changed, in small messages.

A pool may have thousands of backends, and this runs beside the requests of users.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lbproxy.process.ipc.worker_messages import BackendsCounted
from lbproxy.record import Exemplar
from lbproxy.runtime.data_path import DataPath
from lbproxy.status import counters

PIECE = 50
"""Backends of one turn of the loop: they take a fraction of a millisecond."""


class CountReport:
    """Of the backends of one data path."""

    def __init__(self, data_path: DataPath) -> None:
        self._data_path = data_path
        self._told: dict[str, Any] = {}  # what the generation knows, by POOL/NAME
        self._exemplars: dict[str, list[Exemplar]] = {}  # the same

    def __repr__(self) -> str:
        return f"<count report of {len(self._told)} backends>"

    def pieces(self) -> Iterator[BackendsCounted | None]:
        """What the generation does not know yet, and None for each turn of the loop that had nothing of that."""
        there = [(counters.key(pool, one), one) for pool in self._data_path.pools.values() for one in pool.backends]
        gone = list(self._told.keys() - {name for name, _ in there})
        for name in gone:
            del self._told[name]
            self._exemplars.pop(name, None)
        if gone:
            yield BackendsCounted({}, gone)
        for at in range(0, len(there), PIECE):
            changed, exemplars = {}, {}
            for name, backend in there[at : at + PIECE]:
                # Ejections are counted by the generation, wherever they were decided.
                counted = {**counters.of_backend(backend), "ejections": 0}
                if not backend.departed and self._told.get(name) != counted:
                    changed[name] = self._told[name] = counted
                    if (examples := backend.latency.examples) != self._exemplars.get(name, []):
                        exemplars[name] = self._exemplars[name] = examples
            yield BackendsCounted(changed, [], exemplars) if changed else None
