"""A balancer in its fleet: it tells the others of itself, and knows what they tell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypedDict

from lbproxy.control import tasks
from lbproxy.control.etcd import Etcd, View
from lbproxy.control.fleet import keys
from lbproxy.control.fleet.differences import differences
from lbproxy.control.fleet.presence import Presence
from lbproxy.control.fleet.reach import Reach
from lbproxy.control.fleet.replica import GONE, Replica
from lbproxy.control.fleet.roster import Roster
from lbproxy.control.fleet.views import FleetView, ReplicaView

LOOK = 0.5
"""Seconds between two looks at what there is to tell the others."""


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


class Memory(TypedDict):
    """What a generation leaves to the next, as JSON has it. Times are seconds since the epoch."""

    since: float
    version: str
    upgraded: float
    configuration: str
    configured: float
    unreachable_since: float | None


class Begun(NamedTuple):
    """Since when the balancer runs, serves its configuration, and is of its version (seconds since the epoch)."""

    since: float
    configured: float
    upgraded: float


class Balancer(Protocol):
    """The balancer that this is, as its fleet sees it."""

    def state(self) -> str:
        """Whether it is starting, serving or draining."""
        ...

    def backends(self) -> dict[str, dict[str, int]]:
        """How many backends each pool has in each state."""
        ...


class Fleet:
    """What this balancer shares with the others. The data path waits for none of it."""

    def __init__(self, etcd: Etcd, place: Place, balancer: Balancer, memory: Memory | None = None) -> None:
        """memory: of the generation before this one."""
        self._etcd = etcd
        self._place = place
        self._balancer = balancer
        self._begun: Begun = _begun(place, memory, time.time())
        self._reach = Reach(memory["unreachable_since"] if memory else None)
        self._presence = Presence(etcd, place.key, place.ttl, self._describe, self._reach)
        self._roster = Roster()
        self._ended = False
        self._tasks: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        return f"<fleet {self._place.fleet}, {self._presence!r}, {self._roster!r}>"

    def start(self) -> None:
        """Follow the others from now on."""
        self._follow(keys.replicas(self._place.fleet), self._see_replicas)

    def join(self) -> None:
        """This generation serves: tell the others."""
        self._presence.start()
        self._tasks.append(tasks.start(self._keep_looking(), name="fleet look"))

    def retire(self) -> None:
        """The next generation serves. It takes the key over, which stays as it is until then."""
        self._presence.retire()

    async def stop(self) -> None:
        """Tell the others that this balancer ends, unless another generation of it goes on."""
        self._ended = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._reach.stop()
        await self._presence.stop()

    def memory(self) -> Memory:
        """For the next generation."""
        return {
            "since": self._begun.since,
            "version": self._place.version,
            "upgraded": self._begun.upgraded,
            "configuration": self._place.configuration,
            "configured": self._begun.configured,
            "unreachable_since": self._reach.since,
        }

    def view(self) -> FleetView:
        """For the snapshot."""
        presence, reach = self._presence, self._reach
        return {
            "name": self._place.fleet,
            "replica": self._place.replica,
            "membership": presence.membership.value,
            "other": presence.other,
            "unreachable_since": reach.since,
            "error": reach.error,
            "replicas": [*self._replicas()],
            "ignored": dict(self._roster.ignored),
        }

    def _follow(self, prefix: str, see: Callable[[View], None]) -> None:
        async def follow() -> None:
            async with self._etcd.mirror(prefix, self._reach.failed) as mirror:
                while True:
                    view = await mirror.next()
                    self._reach.answered()
                    see(view)

        self._tasks.append(tasks.start(follow(), name=f"fleet {prefix}"))

    # --- the other balancers

    def _see_replicas(self, view: View) -> None:
        self._roster.see(view.values, time.time())
        self._presence.seen(view.values.get(self._place.key))

    def _replicas(self) -> list[ReplicaView]:
        known = {name: (one, None) for name, one in self._roster.live.items()}
        gone = {name: (one, at) for name, (one, at) in self._roster.gone.items()}
        differing = differences(self._roster.live)
        return [
            {
                "name": name,
                "this": name == self._place.replica and one.run == self._place.run,
                "host": one.host,
                "version": one.version,
                "configuration": one.configuration,
                "state": one.state,
                "since": one.since,
                "configured": one.configured,
                "gone": at,
                "listeners": one.listeners,
                "backends": one.backends,
                "differs": [
                    {"what": it.what, "here": it.here, "elsewhere": it.elsewhere, "since": it.since}
                    for it in differing.get(name, ())
                ],
            }
            for name, (one, at) in sorted((known | gone).items())
        ]

    # --- this one

    async def _keep_looking(self) -> None:
        while True:
            self._presence.look()
            await asyncio.sleep(LOOK)

    def _describe(self) -> Replica:
        place = self._place
        return Replica(
            place.run,
            place.generation,
            place.host,
            place.version,
            place.configuration,
            *self._begun,
            GONE if self._ended else self._balancer.state(),
            place.listeners,
            self._balancer.backends(),
        )


def _begun(place: Place, memory: Memory | None, now: float) -> Begun:
    if memory is None:
        return Begun(now, now, now)
    same_configuration = memory["configuration"] == place.configuration
    same_version = memory["version"] == place.version
    return Begun(
        memory["since"],
        memory["configured"] if same_configuration else now,
        memory["upgraded"] if same_version else now,
    )
