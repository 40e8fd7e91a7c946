"""What is served: which generation of which file it is, and how the last reload went."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from lbproxy.control.log.timestamp import timestamp
from lbproxy.control.snapshot import LogView, ReloadView

RunState = Literal["starting", "serving", "leaving", "draining"]


class Origin(NamedTuple):
    """Where a generation comes from: the `master`'s process id, and `file` as it was at `loaded` (since the epoch).

    `run` is the same for all generations of one lbproxy that was started once. `replaces`: another generation serves
    until this one does.
    """

    master: int
    run: str
    file: Path
    loaded: float
    replaces: bool


def _at_info() -> LogView:
    """How the log begins."""
    return {"level": "info", "until": None}


@dataclass
class Served:
    """A generation. `last_reload` is that of lbproxy as a whole; None: there was none, or nothing is left of it.

    `leaving`: new clients are to be sent to another host, though this one still serves them.
    """

    number: int
    origin: Origin
    state: RunState = "starting"
    last_reload: ReloadView | None = None
    leaving: bool = False
    log: LogView = field(default_factory=_at_info)

    @property
    def shown(self) -> RunState:
        """`state`, and whether it is leaving."""
        return "leaving" if self.leaving and self.state == "serving" else self.state

    def reloaded(self, problems: list[str], ended: float) -> None:
        """A reload has ended at `ended` (since the epoch). With `problems`, what was served before still is."""
        self.last_reload = {"ended": ended, "ok": not problems, "problems": problems}

    def remark(self) -> str:
        """For the end of a line: that it is leaving, or how the last reload went; empty if there is nothing to say."""
        last = self.last_reload
        if self.leaving:
            return "; leaving: new clients are for other hosts"
        if last is None:
            return ""
        if last["ok"]:
            return f"; reloaded at {timestamp(last['ended'])}"
        first, *more = last["problems"]
        others = f" (and {len(more)} more)" if more else ""
        return f"; the last reload, at {timestamp(last['ended'])}, failed: {first}{others}"
