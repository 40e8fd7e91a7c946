"""Which generations have ended, and what the others are told of it.

The workers of a generation that is killed go on: they finish the requests that they have, and nothing can be said to
them any more. All processes of a generation hold the writing end of one pipe, and the master the reading end
(`GenerationHandle.lifeline`): that is at its end when the last of them has gone.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable

from lbproxy.process.ipc.master_messages import GONE, ORPHANED
from lbproxy.process.ipc.messages import Fields
from lbproxy.process.ipc.reactor import Reactor


class Endings:
    """`orphans` has the lifeline of each generation that is dead and has left processes behind, by its number."""

    def __init__(self, reactor: Reactor, tell: Callable[[int, Fields], None]) -> None:
        """tell: says something to the other generations in the name of the one with that number."""
        self.orphans: dict[int, int] = {}
        self._reactor = reactor
        self._tell = tell
        self._gone: list[int] = []  # since the last generation was launched

    def __repr__(self) -> str:
        return f"<endings, {len(self.orphans)} with orphans>"

    def launched(self) -> None:
        """A generation was started: it hears of all endings from now on."""
        self._gone.clear()

    def news(self) -> list[tuple[int, Fields]]:
        """What that one has to hear besides the state of the generation before it, which may have heard of it later."""
        return [*((number, GONE) for number in self._gone), *((number, ORPHANED) for number in self.orphans)]

    def ended(self, number: int, lifeline: int | None, status: int) -> None:
        """The process of a generation has ended; with the status 0 it has ended its workers before.

        lifeline: belongs to this object from now on; None: there is none.
        """
        if lifeline is not None and status and not _is_alone(lifeline):
            self._tell(number, ORPHANED)
            self.follow(number, lifeline)
            return
        if lifeline is not None:
            os.close(lifeline)
        self._all_ended(number)

    def follow(self, number: int, lifeline: int) -> None:
        """Its workers go on."""
        self.orphans[number] = lifeline

        def ended() -> None:
            os.close(self.orphans.pop(number))
            self._all_ended(number)

        self._reactor.watch_end(lifeline, ended)

    def _all_ended(self, number: int) -> None:
        """What it had open is open no more."""
        self._tell(number, GONE)
        self._gone.append(number)


def _is_alone(lifeline: int) -> bool:
    """Whether no process has the other end of that pipe any more."""
    poll = select.poll()
    poll.register(lifeline, select.POLLIN)
    return bool(poll.poll(0))
