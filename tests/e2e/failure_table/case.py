"""One case: a row of the table, a request, and the lane that it meets."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote_plus

from .ask import ASKS, Ask
from .rows import ROWS, Charge, Row, Sees

PATH = "/case"


@dataclass(frozen=True)
class Case:
    row: Row
    ask: Ask
    lane: str

    def __str__(self) -> str:
        return f"{self.row.what}: {self.ask}, {self.lane} lane"

    @property
    def target(self) -> str:
        """Its own, so that logs and backends can be asked for it."""
        return f"{PATH}?{quote_plus(str(self))}"

    @property
    def expected(self) -> Sees:
        return self.row.replayable if self.ask.is_replayable else self.row.others

    @property
    def is_the_last(self) -> bool:
        """Whether the answer ends its connection: who leans on a lane would follow it to a backend that is out."""
        return self.expected is Sees.OWN and self.row.charge is Charge.EJECTED and self.ask.has_token

    @property
    def record(self) -> tuple[str, str, int]:
        """What the access log has to tell: how the request ended, on which backend, and how many were asked."""
        if self.expected is Sees.NEXT:
            return "done", "c2", 2
        return "done" if self.expected is Sees.OWN else self.row.reason, "c1", 1


CASES = [Case(row, ask, lane) for row in ROWS for lane in row.lanes for ask in ASKS]
