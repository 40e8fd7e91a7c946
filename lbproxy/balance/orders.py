"""Operators' orders for a backend. An order belongs to the name: it stays when a backend leaves and comes back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple


class Stamp(NamedTuple):
    """An account, and when it said something, in seconds since the epoch."""

    by: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Order:
    """One backend's orders; the default is none. `weight` and `standby` None: as the source of the backend says.

    `stamps` has, by the field's name, which account gave each of them and when.
    """

    drain: bool = False
    weight: int | None = None
    standby: bool | None = None
    stamps: dict[str, Stamp] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether it orders anything."""
        return self.drain or self.weight is not None or self.standby is not None

    def having(self, stamp: Stamp, **given: bool | int | None) -> Order:
        """The same with the fields that are `given`, said by `stamp`; None, and False for drain, is no order."""
        stamps = dict(self.stamps)
        for name, value in given.items():
            if value == getattr(self, name):
                continue
            stamps.pop(name, None)
            if value is not None and not (name == "drain" and not value):
                stamps[name] = stamp
        return replace(self, stamps=stamps, **given)  # type: ignore[arg-type] # each field by its name

    def encode(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def decode(cls, told: dict[str, Any]) -> Order:
        """What `encode` gave; what another version added is left out."""
        known = {one.name: told[one.name] for one in fields(cls) if one.name in told}
        known["stamps"] = {name: Stamp(*stamp) for name, stamp in known.get("stamps", {}).items()}
        return cls(**known)


NO_ORDER = Order()
