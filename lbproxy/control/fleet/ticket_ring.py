"""The keys of session tickets that a fleet shares: which one seals, and when the next one is made. Pure.

There are three: the *next* one, the one that *seals*, and the one *before*. Each rotation makes a next one, and the one
that was next seals from then on. So every replica has a key for a whole rotation before tickets are sealed with it, and
for a whole rotation afterwards. The clocks of the hosts need not agree for that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypedDict

ROTATE = 8 * 3600.0
"""Seconds from one rotation to the next. A key is there for three of them: a stolen one opens no more than that."""

LIFE = 2 * 3600.0
"""Seconds that a ticket is good for (OpenSSL's default): for so long a key has to be there after it sealed."""

KEPT = 3
"""Keys: the next one, the one that seals, and the one before."""


class TicketKey(NamedTuple):
    """A key that was `made` then (seconds since the epoch, by the clock of whoever made it)."""

    secret: bytes
    made: float

    def __repr__(self) -> str:
        return f"<ticket key made at {self.made:.0f}>"


class RingMemory(TypedDict):
    """A `TicketRing` as JSON has it: each key's number, secret in hexadecimal, and when it was made."""

    keys: list[tuple[int, str, float]]
    since: float
    found: bool


class TicketRing:
    """`keys` by their numbers, which grow. Times are monotonic seconds, but where a key was made."""

    def __init__(self) -> None:
        self.keys: dict[int, TicketKey] = {}
        self._since = 0.0  # when the newest one was seen first
        self._found = True  # it was there already, so that its age is not known

    def __repr__(self) -> str:
        return f"<ticket ring of {sorted(self.keys)}>"

    @property
    def sealing(self) -> int:
        """The number of the key that seals; 0: there is none."""
        return sorted(self.keys)[-2:][0] if self.keys else 0

    def see(self, keys: Mapping[int, TicketKey], now: float) -> bool:
        """etcd has these at `now`; whether they are others than before."""
        if dict(keys) == self.keys:
            return False
        if max(keys, default=0) != max(self.keys, default=0):
            self._found = not self.keys
            self._since = now
        self.keys = dict(keys)
        return True

    def due(self, now: float, wall: float) -> bool:
        """Whether the next key is to be made, now (`wall`: in seconds since the epoch).

        The age of a key that was found at the start is known by its maker's clock only. If that, or this one, is wrong,
        keys still stay for as long as tickets do.
        """
        if not self.keys:
            return True
        seen_for = now - self._since
        return seen_for >= ROTATE or (
            self._found and seen_for >= LIFE and wall - self.keys[max(self.keys)].made >= ROTATE
        )

    def over(self, now: float) -> bool:
        """Whether no key may seal any more: nobody has made a next one for two rotations."""
        return not self.keys or now - self._since >= 2 * ROTATE

    def secrets(self) -> list[bytes]:
        """All of them; that of the key that seals comes first."""
        order = sorted(self.keys, key=lambda number: (number != self.sealing, -number))
        return [self.keys[number].secret for number in order]

    def to_delete(self) -> list[int]:
        """Those that are not needed any more when the next one is there."""
        return sorted(self.keys)[: -(KEPT - 1)]

    def memory(self) -> RingMemory:
        """For the next generation."""
        keys = [(number, one.secret.hex(), one.made) for number, one in self.keys.items()]
        return {"keys": keys, "since": self._since, "found": self._found}

    def remember(self, memory: RingMemory) -> None:
        """Go on from there."""
        self.keys = {number: TicketKey(bytes.fromhex(secret), made) for number, secret, made in memory["keys"]}
        self._since, self._found = memory["since"], memory["found"]
