"""Whether etcd answers, and since when it does not. Said in the log once, and once when it answers again."""

from __future__ import annotations

import asyncio
import logging
import time

from lbproxy.control.etcd import EtcdError
from lbproxy.control.log import event

log = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds that it may be out of reach without a line in the log: when one of its nodes dies, another one answers."""


class Reach:
    """`since` is when it began not to answer (seconds since the epoch), None while it answers; `error` says why.

    `failing` is set while it does not.
    """

    def __init__(self, since: float | None = None, patience: float = PATIENCE) -> None:
        """since: that of the process before this one, which has said it in the log."""
        self.since = since
        self.error = ""
        self.failing = asyncio.Event()
        self._said = since is not None
        self._patience = patience
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<reach, failing since {self.since}: {self.error}>" if self.since else "<reach>"

    def failed(self, error: EtcdError) -> None:
        """It has not answered, or refuses what has to be."""
        self.error = str(error)
        self.failing.set()
        if self.since is None:
            self.since = time.time()
            self._timer = asyncio.get_running_loop().call_later(self._patience, self._say)

    def answered(self) -> None:
        """It has answered."""
        self.failing.clear()
        self.stop()
        if self.since is not None and self._said:
            event(log, logging.INFO, "fleet_reached", after=round(max(0.0, time.time() - self.since), 1))
        self.since, self.error, self._said = None, "", False

    def stop(self) -> None:
        """Say no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _say(self) -> None:
        self._said = True
        event(log, logging.ERROR, "fleet_unreachable", error=self.error)
