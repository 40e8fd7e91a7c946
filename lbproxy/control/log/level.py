"""How much the operational log says, changed while lbproxy runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from lbproxy.control.log.log import LEVELS, event, set_level
from lbproxy.control.snapshot import LogView

log = logging.getLogger(__name__)

DEFAULT = "info"


class LogLevel:
    """The level of all processes: `told` hears of each change, to pass it on. Belongs to the running loop."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._level, self._until = DEFAULT, 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<log level {self._level}>"

    @property
    def view(self) -> LogView:
        """How it is."""
        return {"level": self._level, "until": self._until or None}

    def set(self, level: str, seconds: float | None, by: str) -> None:
        """From now on, for `seconds`, None: until it is set again, or lbproxy reloads. by: who orders it."""
        self._stop_timer()
        if seconds is not None and level != DEFAULT:
            self._timer = asyncio.get_running_loop().call_later(seconds, self.end)
            self._until = time.time() + seconds
        self._change(level, by, seconds)

    def end(self) -> None:
        """Back to the default."""
        self._stop_timer()
        if self._level != DEFAULT:
            self._change(DEFAULT, "lbproxy", None)

    def _change(self, level: str, by: str, seconds: float | None) -> None:
        quieter = LEVELS[level] > LEVELS[self._level]
        if not quieter:
            set_level(level)
        event(log, logging.WARNING, "log_level_changed", level=level, before=self._level, seconds=seconds, by=by)
        set_level(level)
        self._level = level
        self._told(level)

    def _stop_timer(self) -> None:
        self._until = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
