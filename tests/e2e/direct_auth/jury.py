"""The verdict on a crowd's answers: was anybody answered as somebody else, and did anybody fail who need not?"""

from __future__ import annotations

from collections import Counter

from ..message import Response
from ..progress import Progress
from .answer import Answer
from .person import Person

PATIENCE = 300.0
"""Seconds in which a whole crowd must have been served; a bound for a machine that is busy, not a measure."""

TOKEN, BAD_TOKEN = "a token", "a bad token"

_ONCE = frozenset({TOKEN, BAD_TOKEN})
"""What is sent once only (rule 6): it is lost with the instance that it was on its way to, and answered 502.

Every other request of a crowd is a GET that can be sent again, so it is answered whatever dies.
"""


class Jury:
    """`wrong` holds every answer that should not have been.

    counts     what was asked and how it was answered
    cut        what was asked on a connection that ended instead
    """

    def __init__(self, realm: str) -> None:
        self.counts: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.visits = 0
        self._progress = Progress()
        self._realm = realm.encode()

    @property
    def answers(self) -> int:
        """How many answers were judged."""
        return sum(self.counts.values())

    def judge(self, who: Person | None, asked: str, target: str, response: Response) -> None:
        """`who` is the one who may be answered with the page, None for nobody; `asked` says with what, for counts."""
        self.counts[f"{asked}: {response.status}"] += 1
        if response.status == 200:
            answer = Answer.of(response)
            right = who is not None and (answer.user, answer.path) == (who.principal, target)
        else:
            lost = response.status == 502 and asked in _ONCE
            right = (response.status == 401 or lost) and self._realm not in response.body
        self.expect(right, f"{who} asked with {asked} for {target}: {response}")

    def expect(self, condition: bool, what: str) -> None:
        if not condition:
            self.wrong.append(what)

    def visited(self) -> None:
        """A member of the crowd was served."""
        self.visits += 1
        self._progress.happened()

    async def until(self, visits: int) -> None:
        """Wait for so many visits in all."""
        await self._progress.until(lambda: self.visits >= visits, PATIENCE)
