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

Entry = tuple[str, Member]
"""A member that the pool should have, and before it the source that it is taken from."""

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
        self._all: dict[str, Entry] = {}

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

    def say(self, source: str, members: Iterable[Member]) -> Mapping[str, tuple[Entry | None, Entry | None]]:
        """`source` wants exactly these. Those that are unfit, doubled or too many are left out: see `refused`.

        Those of the file are fit: that was checked when it was read. Returns what has changed in `all`, by name: how it
        was, and how it is. Of thousands of members, only those are looked at that are other objects than before.
        """
        before, members = self._wanted.get(source, {}), tuple(members)
        room = self._limit - sum(len(others) for name, others in self._wanted.items() if name != source)
        wanted = {member.name: member for member in members}
        self._refused[source] = ()
        if len(wanted) < len(members) or len(members) > room:
            wanted = self._chosen(source, members, room)
        others = [member for name, member in wanted.items() if before.get(name) is not member]
        if not self._refused[source]:
            problems = {one.name: problem for one in others if (problem := self._problem(source, one))}
            self._refused[source] = tuple(problems.values())
            wanted = {name: one for name, one in wanted.items() if name not in problems} if problems else wanted
        self._wanted[source] = wanted
        names = [name for name in before if name not in wanted]
        return self._merge([*names, *(one.name for one in others if one.name in wanted)])

    def _chosen(self, source: str, members: Iterable[Member], room: int) -> dict[str, Member]:
        """The first of each name, as many as there is `room` for; why others are not among them is in `_refused`."""
        wanted: dict[str, Member] = {}
        refused: list[str] = []
        for member in members:
            problem = self._problem(source, member)
            if not problem and member.name in wanted:
                problem = f"{member.name}: there are two of this name, {wanted[member.name].url} stays"
            if not problem and len(wanted) >= room:
                problem = f"{member.name}: the pool has max_backends ({self._limit}) already"
            if problem:
                refused.append(problem)
            else:
                wanted[member.name] = member
        self._refused[source] = tuple(refused)
        return wanted

    def _problem(self, source: str, member: Member) -> str:
        """Why `source` may not have it, whatever else it wants; empty for one that it has already."""
        if source == FILE or self._wanted.get(source, {}).get(member.name) == member:
            return ""
        return member.problem() or self._refuse(member)

    def _merge(self, names: Iterable[str]) -> dict[str, tuple[Entry | None, Entry | None]]:
        """Bring `names` up to date in what all sources want together. What that has changed."""
        found: dict[str, tuple[Entry | None, Entry | None]] = {}
        for name in names:
            before = self._all.pop(name, None)
            source = next((one for one in self.sources if name in self._wanted[one]), None)
            after = None if source is None else (source, self._wanted[source][name])
            if after is not None:
                self._all[name] = after
            if before != after:
                found[name] = before, after
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

    def all(self) -> Mapping[str, Entry]:
        """Every member that the pool should have, by name. It changes with the next `say`."""
        return self._all
