"""What a balancer tells the others of itself: the value of its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from typing import Any, Self

from lbproxy.control.fleet import keys

GONE = "gone"
"""The state of a balancer that has ended in good order."""


_LISTS = ("not_understood", "out")
"""Fields that JSON has as lists."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One balancer. Times are seconds since the epoch.

    `run` is the same for all generations of one lbproxy that was started once, and `generation` grows from one to the
    next. `state` is starting, serving, draining,
    or gone once it has ended. `configuration` is a digest, equal where the same is served; `configured` and `upgraded`
    are since when it has served that, and been this `version`. `listeners` has what it serves: the pool by the
    listener's name. `backends` counts each pool's by their state.

    `revision` is that of etcd up to which orders are applied, but for the backends that are `not_understood`; `left` is
    what backends that are drained had to finish after that. `ejected` are those that are down there, each with how
    often it was ejected. `rotation` has how many backends of each pool are in rotation, and `out` those that are not.
    All name them POOL/BACKEND. `secret` is the mark of its secret, empty if it has none.
    """

    run: str
    generation: int
    host: str
    version: str
    configuration: str
    since: float
    configured: float
    upgraded: float
    state: str
    listeners: Mapping[str, str] = field(default_factory=dict)
    backends: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    revision: int = 0
    left: Mapping[str, str] = field(default_factory=dict)
    not_understood: Sequence[str] = ()
    ejected: Mapping[str, int] = field(default_factory=dict)
    secret: str = ""
    rotation: Mapping[str, int] = field(default_factory=dict)
    out: Sequence[str] = ()

    def encode(self) -> bytes:
        """As etcd has it."""
        return keys.encode(asdict(self))

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """What `encode` gave; what another version has added is left out. Raises ValueError."""
        told = keys.decode(value)
        for name in _LISTS:
            if isinstance(told.get(name), list):
                told[name] = tuple(told[name])
        try:
            found = cls(**{one.name: told[one.name] for one in fields(cls) if one.name in told})
        except TypeError:
            raise ValueError("a field is missing") from None
        found._check()
        return found

    def _check(self) -> None:
        """Raises ValueError if a field is not of its type."""
        texts: tuple[Any, ...] = (self.run, self.host, self.version, self.configuration, self.state, self.secret)
        if not all(isinstance(one, str) for one in texts):
            raise ValueError("run, host, version, configuration, state and secret are strings")
        numbers: tuple[Any, ...] = (self.generation, self.revision)
        if not all(isinstance(one, int | float) and isfinite(one) for one in numbers):
            raise ValueError("generation and revision are numbers")
        if not all(keys.is_time(one) for one in (self.since, self.configured, self.upgraded)):
            raise ValueError("since, configured and upgraded are seconds since the epoch")
        _require(self.listeners, str, "listeners")
        _require(self.backends, dict, "backends")
        _require(self.left, str, "left")
        _require(self.ejected, int, "ejected")
        _require(self.rotation, int, "rotation")
        for name in _LISTS:
            one: Any = getattr(self, name)
            if not isinstance(one, tuple) or not all(isinstance(each, str) for each in one):
                raise ValueError(f"{name} is a list of strings")
        for counted in self.backends.values():
            _require(counted, int, "backends")


def _require(table: Any, kind: type, name: str) -> None:
    if not isinstance(table, dict) or not all(isinstance(one, kind) for one in table.values()):
        raise ValueError(f"{name} is not as it has to be")
