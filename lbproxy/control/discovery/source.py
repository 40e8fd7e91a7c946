"""A source of members, as every kind of discovery is one: it gives whole sets."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from lbproxy.balance.member import Member
from lbproxy.errors import LbproxyError


class SourceError(LbproxyError):
    """The source gave no answer, or one that makes no sense; the sentence says which source, and why."""


class Answer(NamedTuple):
    """Every member that the source has now, and for how many seconds that is good.

    `left_out`: what it names and cannot be a member, one sentence each. `leaving`: the names of those that have said
    themselves that they leave, which is never doubted. `facts`: what is known of members beside that, by name.
    """

    members: tuple[Member, ...]
    good_for: float = math.inf
    left_out: tuple[str, ...] = ()
    leaving: frozenset[str] = frozenset()
    facts: Mapping[str, Mapping[str, str]] = MappingProxyType({})


class Source(ABC):
    """`name` is what status, log and metrics call it, such as dns. `where` is all that its answers depend on, for
    people: what is asked for, and which server. What was known of a source is true of another one with the same two.

    `Discovery` calls `start`, then `look` and `wait` in turn, and `stop`, whether or not `start` has succeeded.
    """

    name: str
    where: str

    async def start(self) -> None:
        """Open what the source needs. Raises SourceError, and is called again later."""
        return

    async def stop(self) -> None:
        """Close it."""
        return

    @abstractmethod
    async def look(self, again: bool = False) -> Answer:
        """The whole set as it is now. Raises SourceError. It may be cancelled, because it took too long.

        again: the last answer is doubted; a source that keeps a copy of what it watches has to ask anew.
        """

    async def wait(self, seconds: float) -> None:
        """Return after so many seconds, or earlier if there may be something new, or the source has been lost.

        The pool has heard of the last answer by then.
        """
        await asyncio.sleep(seconds)
