"""What a pool believes of one source of members, of all that the source answers. No I/O and no clock.

| the source | the pool |
| --- | --- |
| answers a set | has it at once |
| fails, or answers nonsense | keeps the last set, and knows since when |
| answers an empty set | keeps the last one until it is still empty after `empty_after` (`on_empty = "accept"`: not) |
| answers without more than half of the members | keeps the last one until a second answer says so too |

A failure ends a doubt: the next answer that is empty, or without more than half, is the first one again.

A member that has said itself that it leaves is never doubted: it is gone at once, whatever else the answer is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from typing import Literal, NamedTuple

from lbproxy.balance.member import Member

SECOND_ANSWER = 1.0
"""Seconds until a source is asked again when more than half of the members are gone."""


class Rules(NamedTuple):
    """As the configuration has them; `empty_after` in seconds."""

    on_empty: Literal["keep", "accept"] = "keep"
    empty_after: float = 30.0


DEFAULT = Rules()


class Verdict(Enum):
    """What an answer means."""

    SAME = "same"  # it is what was known
    CHANGED = "changed"  # the set is another one from now on
    DOUBTED = "doubted"  # it is not believed yet


class Doubt(NamedTuple):
    """Why an answer is not believed yet, since when, and when the source is to be asked again (monotonic seconds)."""

    text: str
    since: float
    until: float
    empty: bool


class Belief:
    """`members` is the set that counts. `failing_since` (monotonic seconds) and `error` are there while it fails.

    `answered_at` is the last answer, `doubt` what keeps that from being believed; None if there is none.
    """

    __slots__ = ("answered_at", "doubt", "error", "failing_since", "failures", "members", "rules")

    def __init__(self, rules: Rules = DEFAULT) -> None:
        self.rules = rules
        self.members: tuple[Member, ...] = ()
        self.answered_at: float | None = None
        self.failing_since: float | None = None
        self.error = ""
        self.failures = 0  # in a row
        self.doubt: Doubt | None = None

    def __repr__(self) -> str:
        state = self.error or (self.doubt.text if self.doubt else "sound")
        return f"<belief in {len(self.members)} members: {state}>"

    def answered(self, answer: Iterable[Member], now: float, leaving: Collection[str] = ()) -> Verdict:
        """The whole set of a source, as it said at `now`; `leaving`: the names that have said that they leave."""
        members, before = tuple(answer), self.members
        self.answered_at, self.failing_since, self.error, self.failures = now, None, "", 0
        there = {member.name: member for member in members}
        if leaving:
            self.members = tuple(one for one in before if one.name not in leaving or one.name in there)
        self.doubt = self._doubt(there, now)
        if self.doubt is not None and now >= self.doubt.until:
            self.doubt = None
        if self.doubt is None:
            self.members = members
        if self.members != before:
            return Verdict.CHANGED
        return Verdict.SAME if self.doubt is None else Verdict.DOUBTED

    def failed(self, error: str, now: float) -> bool:
        """The source has no answer, or one that makes no sense: why. Whether it had one before."""
        first = self.failing_since is None
        self.failing_since = now if self.failing_since is None else self.failing_since
        self.error, self.doubt = error, None
        self.failures += 1
        return first

    def stale(self, now: float) -> float:
        """Seconds for which the source has been failing; 0 if it is not."""
        return 0.0 if self.failing_since is None else max(0.0, now - self.failing_since)

    def _doubt(self, members: Mapping[str, Member], now: float) -> Doubt | None:
        """The reason, which may have begun earlier, for which `members`, by name, are not believed at once."""
        before = self.doubt
        if self.members and not members:
            if self.rules.on_empty == "accept":
                return None
            since = before.since if before and before.empty else now
            wait = self.rules.empty_after
            return Doubt(f"the answer is empty; it counts after {wait:g} s", since, since + wait, empty=True)
        others = [one for one in self.members if members.get(one.name) is not one]  # of thousands, some
        gone = sum(one.name not in members or members[one.name].url != one.url for one in others)
        if 2 * gone <= len(self.members):
            return None
        since = before.since if before and not before.empty else now
        text = f"{gone} of {len(self.members)} members are gone at once; it counts if the next answer says so too"
        return Doubt(text, since, since + SECOND_ANSWER, empty=False)
