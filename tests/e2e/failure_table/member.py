"""A backend that fails as the row of a case says."""

from __future__ import annotations

import asyncio

from ..backend import Lane, ScriptedBackend, answer
from .case import Case


class Member(ScriptedBackend):
    """Plays its part in the request of a case, and answers any other with its name."""

    def __init__(self, name: str) -> None:
        super().__init__(name, self._serve)
        self.answer = answer(name.encode())
        self.go = asyncio.Event()  # the client has seen what there is to be seen, for faults that wait for that
        self._case: Case | None = None

    async def _serve(self, lane: Lane) -> None:
        while seen := await lane.request():
            if self._case is None or seen.target != self._case.target.encode():
                await lane.send(self.answer)
                continue
            await lane.send(self._case.row.said)
            if not await self._case.row.then(lane, self.go):
                return

    def begin(self, case: Case | None) -> None:
        """From now on only what belongs to the next case is recorded, and `case`, if any, is failed."""
        self._case = case
        self.requests.clear()
        self.complete.clear()
        self.go.clear()

    async def end(self) -> None:
        """Be as new, without any lane."""
        self._case = None
        self.go.set()
        self.reset_lanes()
        if self._server is None:
            await self.start()

    def refuse(self) -> None:
        """Refuse connections from now on; those that are there stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    @property
    def probes(self) -> int:
        """How many it got since the case began."""
        return sum(seen.target == b"/healthz" for seen in self.requests)
