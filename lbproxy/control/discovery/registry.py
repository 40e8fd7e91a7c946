"""The registry of connectors: which keys etcd has, and what is in them.

    /lbproxy/FLEET/pools/POOL/connectors/NAME         a connector, under the lease of who registered it
    /lbproxy/FLEET/pools/POOL/balancers/REPLICA.PID   a generation of a balancer, under its own: what it has seen

Values are JSON objects with a `format`. A value of another format was written by a newer lbproxy: it is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

from lbproxy.balance.member import Member

FORMAT = 1


def connectors(fleet: str, pool: str) -> str:
    """The prefix of the connectors of a pool."""
    return f"/lbproxy/{fleet}/pools/{pool}/connectors/"


def balancers(fleet: str, pool: str) -> str:
    """The prefix of the balancers of a pool."""
    return f"/lbproxy/{fleet}/pools/{pool}/balancers/"


class State(StrEnum):
    """Of a connector, as its registration says."""

    SERVING = "serving"
    OUT = "out"  # its check is bad; it may come back
    LEAVING = "leaving"  # it was told to end, and waits until the balancers have drained it


class _Entry:
    """JSON and back. What another version has added is left out."""

    def encode(self) -> bytes:
        """As etcd has it."""
        return json.dumps({"format": FORMAT, **asdict(self)}, separators=(",", ":")).encode()  # type: ignore[call-overload]  # a dataclass

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Raises ValueError, which says what is wrong with the value."""
        told = json.loads(value)
        if not isinstance(told, dict):
            raise ValueError("not a JSON object")
        if told.get("format") != FORMAT:
            raise ValueError(f"format {told.get('format')!r}, where {FORMAT} is known")
        try:
            found = cls(**{one.name: told[one.name] for one in fields(cls) if one.name in told})  # type: ignore[arg-type]
        except TypeError:
            raise ValueError("a field is missing") from None
        found.check()
        return found

    def check(self) -> None:
        """Raises ValueError if a field is not of its type."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Connector(_Entry):
    """A connector: its `url` as a backend has it, and `facts` about it that a guard may compare.

    `id` is one run of `lbproxy register`, `by` says for people where that runs; `since` is in seconds since the epoch.
    `state` is one of `State`.
    """

    url: str
    facts: Mapping[str, str] = field(default_factory=dict)
    by: str = ""
    id: str = ""
    since: float = 0.0
    state: str = State.SERVING

    def check(self) -> None:
        """See `_Entry`. Whether a pool can have it is `member`'s to say."""
        facts: Any = self.facts
        if not all(isinstance(one, str) for one in (self.url, self.by, self.id)):
            raise ValueError("url, by and id are strings")
        if self.state not in list(State):
            raise ValueError(f"state {self.state!r}, where {', '.join(State)} are known")
        if not isinstance(facts, dict) or not all(isinstance(one, str) for pair in facts.items() for one in pair):
            raise ValueError("facts are strings by name")

    def member(self, name: str) -> Member:
        """As a pool has it. Raises ValueError if none can."""
        member = Member(name, self.url)
        if problem := member.problem():
            raise ValueError(problem)
        return member


@dataclass(frozen=True, slots=True)
class Acknowledgement(_Entry):
    """What a balancer has seen: changes of the registry up to `revision`.

    `left`: requests that it still has on connectors that have gone, by name; 1 at least while a connection is open.
    """

    revision: int
    left: Mapping[str, int] = field(default_factory=dict)

    def check(self) -> None:
        """See `_Entry`."""
        left: Any = self.left
        if not isinstance(self.revision, int) or not isinstance(left, dict):
            raise ValueError("revision is a number, and left a table")
        if not all(isinstance(one, int) for one in left.values()):
            raise ValueError("left has numbers by name")

    def waits_for(self, name: str, revision: int) -> str:
        """What is missing until the connector `name`, which was taken out at `revision`, may end; "" if nothing is."""
        if self.revision < revision:
            return "has not seen it leave"
        return f"has {self.left[name]} to finish" if self.left.get(name) else ""
