"""Which balancer this is, and what its fleet asks of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from lbproxy.balance.operators import Said
from lbproxy.control.fleet import keys


class Place(NamedTuple):
    """Which balancer this is: `replica` of the fleet `fleet`, on `host`. `ttl` is the lease, in seconds.

    `run` is the same for all generations of one lbproxy that was started once; `configuration` is a digest of what is
    served, and `listeners` has the pool of each.
    """

    fleet: str
    replica: str
    host: str
    ttl: float
    run: str
    generation: int
    version: str
    configuration: str
    listeners: dict[str, str]

    @property
    def key(self) -> str:
        """Of this balancer, in etcd."""
        return keys.replicas(self.fleet) + self.replica


class Balancer(Protocol):
    """The balancer that this is, as its fleet sees it."""

    def state(self) -> str:
        """Whether it is starting, serving or draining."""
        ...

    def backends(self) -> dict[str, dict[str, int]]:
        """How many backends each pool has in each state."""
        ...

    def ordered(self) -> Iterable[tuple[str, str, Said]]:
        """What operators have ordered: pool, name, and what they say of it."""
        ...

    def apply(self, pool: str, name: str, told: Said) -> None:
        """Carry out what they say, also of a pool or a backend that is not there: then it waits."""
        ...

    def has(self, pool: str, name: str) -> bool:
        """Whether there is such a backend."""
        ...

    def ejected(self) -> dict[str, int]:
        """Which backends are down, as POOL/BACKEND, and how often each was ejected."""
        ...

    def rotation(self) -> dict[str, int]:
        """How many backends each pool has in rotation."""
        ...

    def out(self) -> list[str]:
        """Which backends are out of rotation, for whatever reason, as POOL/BACKEND."""
        ...

    def probe(self, pool: str, name: str) -> bool:
        """Probe a backend at once, if it is up here; whether it is."""
        ...

    def seal(self, secrets: Sequence[bytes], first: bool) -> None:
        """Open session tickets with these, beside the balancer's own key; first: and seal with the first of them."""
        ...

    async def count(self) -> bool:
        """Have every process count, after it heard of all that was decided; whether all of them did."""
        ...

    def heard(self, revision: int) -> int | None:
        """The revision of orders, `revision` at most, of which all generations before this one heard and then counted.

        None: one of them has not said so yet.
        """
        ...

    def left(self) -> dict[str, str]:
        """What backends that are drained have to finish, in words, by POOL/BACKEND; without those that have nothing."""
        ...
