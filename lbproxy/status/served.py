"""What is served: which generation of which file it is, and how the last reload went."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from lbproxy.control.log.timestamp import timestamp
from lbproxy.control.snapshot import ReloadView

RunState = Literal["starting", "serving", "draining"]


class Origin(NamedTuple):
    """Where a generation comes from: the `master`'s process id, and `file` as it was at `loaded` (since the epoch).

    `replaces`: another generation serves until this one does.
    """

    master: int
    file: Path
    loaded: float
    replaces: bool


@dataclass
class Served:
    """A generation. `last_reload` is that of lbproxy as a whole; None: there was none, or nothing is left of it."""

    number: int
    origin: Origin
    state: RunState = "starting"
    last_reload: ReloadView | None = None

    def reloaded(self, problems: list[str], ended: float) -> None:
        """A reload has ended at `ended` (since the epoch). With `problems`, what was served before still is."""
        self.last_reload = {"ended": ended, "ok": not problems, "problems": problems}

    def remark(self) -> str:
        """How the last reload went, for the end of a line; empty if there was none."""
        last = self.last_reload
        if last is None:
            return ""
        if last["ok"]:
            return f"; reloaded at {timestamp(last['ended'])}"
        first, *more = last["problems"]
        others = f" (and {len(more)} more)" if more else ""
        return f"; the last reload, at {timestamp(last['ended'])}, failed: {first}{others}"
