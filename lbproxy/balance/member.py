"""What a source wants a pool to have: members. A member is its name; the same name at another URL is another member."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from lbproxy.balance.backend import parse_url
from lbproxy.balance.orders import Stamp

MAX_WEIGHT = 100
NAME_LENGTH = 253
"""Characters of a name at most, as in a DNS name (RFC 1035 section 2.3.4)."""

_NOT_IN_NAMES = frozenset("/\\\"' \t\r\n")
"""A slash stands between pool and backend (`POOL/NAME`); the others would not survive a shell or a log line."""


class Member(NamedTuple):
    """One backend as a source describes it.

    `weight`: its share of requests relative to the others, 0 to 100; with 0 it gets none. `standby`: it gets work only
    while too few others are in rotation. `added`: which account added it and when, if its source says so.
    """

    name: str
    url: str
    weight: int = 1
    standby: bool = False
    added: Stamp | None = None

    @classmethod
    def decode(cls, told: Sequence[Any]) -> Member:
        """One that has crossed a channel, as JSON's list."""
        name, url, weight, standby, added = told
        return cls(name, url, weight, standby, added and Stamp(*added))

    def problem(self) -> str:
        """Why no pool can have it, naming what is wrong; empty if a pool can."""
        if not self.name or len(self.name) > NAME_LENGTH:
            return f"the name of a backend has 1 to {NAME_LENGTH} characters, not {len(self.name)}"
        if _NOT_IN_NAMES & set(self.name) or not self.name.isprintable():
            return f"{self.name!r} is no name for a backend: it has a slash, a quote, a space or a control character"
        if not 0 <= self.weight <= MAX_WEIGHT:
            return f"{self.name}: weight is {self.weight}, it must be 0 to {MAX_WEIGHT}"
        try:
            parse_url(self.url)
        except ValueError as error:
            return f"{self.name}: {error}"
        return ""
