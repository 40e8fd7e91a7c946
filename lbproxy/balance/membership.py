"""Which members a pool should have, when several sources say so.

| source | says |
| --- | --- |
| file | `backends` of the configuration; first if two sources have the same name |
| operator | `lbproxy backend add`; before all discoveries |
| any other | a discovery, named after its kind: dns, file-list, kubernetes, etcd |

Each source gives all its members at once (`Membership.say`). A member that is refused is left out, with a sentence that
says why (`Membership.refused`); all others stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from lbproxy.balance.member import Member
from lbproxy.balance.orders import Stamp

FILE, OPERATOR = "file", "operator"

_FIRST = (FILE, OPERATOR)
"""Sources that come before all others, in this order."""

Refuse = Callable[[Member], str]
"""Why a member may not join, though its fields are sound; empty if it may."""


class Membership:
    """What each source wants, and what follows from all of it."""

    __slots__ = ("_all", "_limit", "_refuse", "_refused", "_wanted")

    def __init__(self, limit: int, refuse: Refuse = lambda member: "") -> None:
        """limit: members at most, of all sources together."""
        self._limit = limit
        self._refuse = refuse
        self._wanted: dict[str, dict[str, Member]] = {}
        self._refused: dict[str, tuple[str, ...]] = {}
        self._all: dict[str, tuple[str, Member]] = {}

    def __repr__(self) -> str:
        return f"<membership {', '.join(f'{len(wanted)} of {source}' for source, wanted in self._wanted.items())}>"

    def of(self, source: str) -> tuple[Member, ...]:
        """What `source` wants and may have."""
        return tuple(self._wanted.get(source, {}).values())

    def added(self, source: str, name: str) -> Stamp | None:
        """Who added `name` to what `source` wants, if the source tells."""
        member = self._wanted.get(source, {}).get(name)
        return None if member is None else member.added

    @property
    def sources(self) -> tuple[str, ...]:
        """Every source that has said something, in the order of precedence."""
        known = [source for source in _FIRST if source in self._wanted]
        return (*known, *(source for source in self._wanted if source not in _FIRST))

    def say(self, source: str, members: Iterable[Member]) -> None:
        """`source` wants exactly these. Those that are unfit, doubled or too many are left out: see `refused`.

        Those of the file are fit: that was checked when it was read.
        """
        wanted: dict[str, Member] = {}
        refused: list[str] = []
        before = self._wanted.get(source, {})
        room = self._limit - sum(len(others) for name, others in self._wanted.items() if name != source)
        for member in members:
            if before.get(member.name) is member and member.name not in wanted and len(wanted) < room:
                wanted[member.name] = member  # of thousands, all but one
                continue
            known = source == FILE or before.get(member.name) == member
            problem = "" if known else member.problem() or self._refuse(member)
            if not problem and member.name in wanted:
                problem = f"{member.name}: there are two of this name, {wanted[member.name].url} stays"
            if not problem and len(wanted) >= room:
                problem = f"{member.name}: the pool has max_backends ({self._limit}) already"
            if problem:
                refused.append(problem)
            else:
                wanted[member.name] = member
        self._wanted[source] = wanted
        self._refused[source] = tuple(refused)
        self._all = self._merged(self._all)

    def _merged(self, before: Mapping[str, tuple[str, Member]]) -> dict[str, tuple[str, Member]]:
        """What all sources want together. An entry that is as it was `before` is the same object."""
        found: dict[str, tuple[str, Member]] = {}
        for source in self.sources:
            for name, member in self._wanted[source].items():
                if name not in found:
                    entry = before.get(name)
                    is_same = entry is not None and entry[1] is member and entry[0] == source
                    found[name] = entry if entry is not None and is_same else (source, member)
        return found

    @property
    def refused(self) -> Mapping[str, tuple[str, ...]]:
        """By source, a sentence for each member that is left out. A source without any is not there."""
        found: dict[str, tuple[str, ...]] = {}
        for source, wanted in self._wanted.items():
            if why := (*self._refused[source], *self._hidden(wanted)):
                found[source] = why
        return found

    def _hidden(self, wanted: Mapping[str, Member]) -> Iterator[str]:
        """A sentence for each of `wanted` whose name an earlier source has at another URL."""
        if sum(map(bool, self._wanted.values())) < 2:
            return
        for name, member in wanted.items():
            by, other = self._all[name]
            if other.url != member.url:
                yield f"{name}: {by} has a backend of this name, at {other.url}"

    def all(self) -> Mapping[str, tuple[str, Member]]:
        """Every member that the pool should have, by name, with the source that it is taken from."""
        return self._all
