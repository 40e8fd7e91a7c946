"""How much the operational log says, in all processes: this one, the workers, and the master."""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.control.log.level import LogLevel
from lbproxy.process.workers.supervisor import WorkerSupervisor
from lbproxy.status.served import Served


class LogLevels(LogLevel):
    """`tell_master` is set once there is a channel to it."""

    def __init__(self, served: Served, supervisor: WorkerSupervisor | None) -> None:
        super().__init__(self._pass_on)
        self.tell_master: Callable[[str], None] = lambda _: None
        self._served = served
        self._supervisor = supervisor

    def _pass_on(self, level: str) -> None:
        self._served.log = self.view
        if self._supervisor is not None:
            self._supervisor.log_from(level)
        self.tell_master(level)
