"""What operators order of a backend. An order belongs to the name: it outlives a backend that goes and comes back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Order:
    """One backend's orders; the default is none. `weight` and `standby` None: as the source of the backend says.

    `by` is who gave the last order, `at` when, in seconds since the epoch (0: none was given).
    """

    drain: bool = False
    weight: int | None = None
    standby: bool | None = None
    by: str = ""
    at: float = 0.0

    def __bool__(self) -> bool:
        """Whether it orders anything."""
        return self.drain or self.weight is not None or self.standby is not None

    def encode(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    @classmethod
    def decode(cls, told: dict[str, Any]) -> Order:
        """What `encode` gave; what another version added is left out."""
        return cls(**{field.name: told[field.name] for field in fields(cls) if field.name in told})


NO_ORDER = Order()
