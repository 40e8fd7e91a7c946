from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lbproxy.process.generation.log_level import LogLevels
from lbproxy.status.served import Origin, Served


async def test_all_processes_hear_of_it() -> None:
    before = logging.getLogger().level
    heard: list[tuple[str, str]] = []
    supervisor: Any = SimpleNamespace(log_from=lambda level: heard.append(("workers", level)))
    served = Served(1, Origin(1, "run", Path("lb.toml"), 0.0, replaces=False))
    levels = LogLevels(served, supervisor)
    levels.set("warning", None, "ops")  # there is no channel to the master yet
    levels.tell_master = lambda level: heard.append(("master", level))
    assert served.log == {"level": "warning", "until": None}
    levels.end()
    assert heard == [("workers", "warning"), ("workers", "info"), ("master", "info")]
    assert served.log == levels.view == {"level": "info", "until": None}
    logging.getLogger().setLevel(before)
