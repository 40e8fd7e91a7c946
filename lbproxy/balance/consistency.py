"""Whether the backends of a pool are alike, as instances of one service must be: which differs in what.

A *fact* is a named value that was read of each backend: its version, its certificate's fingerprint. What it should be,
its *reference*, is what the configuration expects or else what more than half of the voters have. Voters are the
backends that are up and not draining, whether an earlier verdict kept them out or not; the others' values are compared,
but do not decide what is right. A value that could not be read counts neither way.

With "eject-minority", a backend that differs is kept out of rotation, unless that would be the majority or a tie: a
fact ejects only if more than half of the voters are known to be as they should be, and more than half of all backends
that it is known of, and all facts together never eject half of the voters. So one voter at least stays. One that is no
voter is ejected in advance, not to come back as it is. Facts are taken in their order: an earlier one ejects before a
later one.

What is not known is no evidence in either way. While a voter's value is not known, and that leaves no majority, one
that is kept out stays out; but again never so that half of the voters are out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field
from typing import Literal

Policy = Literal["warn", "eject-minority"]
Facts = Mapping[str, Mapping[str, str | None]]
"""fact -> backend's name -> value; None, or no entry, if it is not known."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A fact that is not as it should be everywhere.

    `values` are the known ones by the backend's name. `reference` is None if nothing is expected and no value has a
    majority; then no value is right. `names` are the backends that are wrong, in the order of `values`.
    """

    fact: str
    values: Mapping[str, str]
    reference: str | None
    expected: bool

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, value in self.values.items() if value != self.reference)

    def text(self, name: str) -> str:
        """What is wrong with one of `names`, for status and log."""
        found = f"{self.fact} is {self.values[name]}"
        if self.reference is None:
            return f"{found}, others differ and none has a majority"
        return f"{found}, {'expected' if self.expected else 'most have'} {self.reference}"

    def __str__(self) -> str:
        """Which backends have which value, as in "version: 1.8.0 on c1, c2; 1.7.0 on c3"."""
        groups: dict[str, list[str]] = {}
        for name, value in self.values.items():
            groups.setdefault(value, []).append(name)
        return f"{self.fact}: " + "; ".join(f"{value} on {', '.join(names)}" for value, names in groups.items())


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `judge` found: equal verdicts say the same, so that only a new one needs a line in the log.

    `ejected` has those to keep out of rotation, and everything that each differs in.
    """

    differences: tuple[Difference, ...] = ()
    ejected: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Everything that a backend differs in, for status and log; empty if it is as it should be."""
        return "; ".join(one.text(name) for one in self.differences if name in one.names)


def judge(
    facts: Facts, expected: Mapping[str, str], policy: Policy, voters: Set[str], kept_out: Set[str] = frozenset()
) -> Verdict:
    """Compare `facts`, with `expected` values for some of them; `voters` are the names of the backends in use.

    kept_out: those that the last verdict has ejected.
    """
    found = tuple(filter(None, (_difference(fact, facts[fact], expected.get(fact), voters) for fact in facts)))
    verdict = Verdict(found)
    if policy == "warn":
        return verdict
    return Verdict(found, {name: verdict.text(name) for name in _minority(found, voters, kept_out)})


def _difference(fact: str, read: Mapping[str, str | None], expected: str | None, voters: Set[str]) -> Difference | None:
    values = {name: value for name, value in read.items() if value is not None}
    reference = _majority([values[name] for name in voters if name in values]) if expected is None else expected
    found = Difference(fact, values, reference, expected is not None)
    return found if found.names and (expected is not None or len(set(values.values())) > 1) else None


def _majority(votes: list[str]) -> str | None:
    """The value that more than half of the votes are for."""
    return next((value for value, count in Counter(votes).items() if 2 * count > len(votes)), None)


def _minority(differences: tuple[Difference, ...], voters: Set[str], kept_out: Set[str]) -> list[str]:
    """Who is ejected, in the order of the facts."""
    ejected: dict[str, None] = {}
    for one in differences:
        right = one.values.keys() - set(one.names)
        proved = _are_most(right, voters) and _are_most(right, one.values)
        doubted = kept_out if voters - one.values.keys() else frozenset()
        for some in (one.names if proved else (), [name for name in one.names if name in doubted]):
            more = ejected | dict.fromkeys(some)
            if _are_most(voters - more.keys(), voters):
                ejected = more
    return list(ejected)


def _are_most(some: Collection[str], of: Collection[str]) -> bool:
    """Whether more than half of the names `of` are among `some`."""
    return 2 * sum(name in some for name in of) > len(of)
