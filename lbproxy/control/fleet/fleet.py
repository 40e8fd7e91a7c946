"""A balancer in its fleet: it tells the others of itself, and knows what they tell."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypedDict

from lbproxy.balance.operators import Said
from lbproxy.balance.orders import Stamp
from lbproxy.control import tasks
from lbproxy.control.etcd import Etcd, View
from lbproxy.control.fleet import keys, merge
from lbproxy.control.fleet.differences import differences
from lbproxy.control.fleet.evidence import Evidence
from lbproxy.control.fleet.fleet_secret import FleetSecret
from lbproxy.control.fleet.order_book import BookMemory, Key, OrderBook
from lbproxy.control.fleet.place import Balancer, Place
from lbproxy.control.fleet.presence import LATE, Presence
from lbproxy.control.fleet.reach import Reach
from lbproxy.control.fleet.replica import GONE, Replica
from lbproxy.control.fleet.rollouts import Rollouts
from lbproxy.control.fleet.roster import Roster
from lbproxy.control.fleet.shared_orders import SharedOrders
from lbproxy.control.fleet.shared_tickets import SharedTickets
from lbproxy.control.fleet.ticket_ring import RingMemory
from lbproxy.control.fleet.views import FleetView, InstanceInFleetView, ReplicaView
from lbproxy.control.fleet.waiting import Ordered, missing, waited_for
from lbproxy.control.log import event

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds for which a start waits for the orders of the fleet, unless etcd refuses connections.

That is longer than a call waits for one endpoint, if there is another one: see `Gateway.call`.
"""

UNKNOWN = "the other replicas are not known yet"
"""Why an order may hold here only: it is not known which replicas have to have applied it."""

BEHIND = "a generation before this one has not heard of the order"
"""Why a drain waits here although nothing is left: that generation may have sent a request there a moment ago."""

LOOK = 0.5
"""Seconds between two looks at what there is to tell the others."""


class Memory(TypedDict):
    """What a generation leaves to the next, as JSON has it. Times are seconds since the epoch.

    `applied` is the revision of orders that was acknowledged. `secret` is the mark of the fleet's secret, under which
    `tickets` are shared.
    """

    since: float
    version: str
    upgraded: float
    configuration: str
    configured: float
    unreachable_since: float | None
    orders: BookMemory
    applied: int
    secret: str
    tickets: RingMemory | None


class Begun(NamedTuple):
    """Since when the balancer runs, serves its configuration, and is of its version (seconds since the epoch).

    A secret is part of the configuration.
    """

    since: float
    configured: float
    upgraded: float


class Fleet:
    """What this balancer shares with the others. The data path waits for none of it."""

    def __init__(
        self, etcd: Etcd, place: Place, balancer: Balancer, memory: Memory | None = None, secret: bytes = b""
    ) -> None:
        """memory: of the generation before this one. secret: the fleet's; without one TLS sessions are not shared."""
        self._etcd = etcd
        self._place = place
        self._balancer = balancer
        own = FleetSecret(place.fleet, secret) if secret else None
        self._mark = "" if own is None else own.mark
        self._begun: Begun = _begun(place, self._mark, memory, time.time())
        self._reach = Reach(memory["unreachable_since"] if memory else None)
        self._presence = Presence(etcd, place.key, place.ttl, self._describe, self._reach)
        self._roster = Roster()
        book = OrderBook(place.replica, place.run, time.time)
        if memory:
            for key, why in book.remember(memory["orders"]).items():
                event(log, logging.ERROR, "fleet_order_forgotten", pool=key.pool, backend=key.backend, why=why)
        self.orders = SharedOrders(etcd, place.fleet, book, balancer.apply, self._reach, balancer.has)
        self.rollouts = Rollouts(etcd, place.fleet, place.replica)
        known = memory["tickets"] if memory and memory["secret"] == self._mark else None
        self._tickets = None if own is None else SharedTickets(etcd, place.fleet, own, balancer.seal, known)
        self._others: set[str] = set()  # replicas that have another secret
        self._evidence = Evidence()
        self._orders_seen, self._replicas_seen = asyncio.Event(), asyncio.Event()
        self._news = asyncio.Event()
        # The revision of orders that every process has heard of, of whatever generation, and what was left after that.
        self.applied = memory["applied"] if memory else 0
        self._left: dict[str, str] = {}
        self._ended = self._replaced = False
        self._tasks: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        return f"<fleet {self._place.fleet}, {self._presence!r}, {self._roster!r}>"

    def start(self) -> None:
        """Follow the others from now on."""
        carried_out = {Key(pool, name): told for pool, name, told in self._balancer.ordered()}
        for key, told in carried_out.items():
            self.orders.adopt(key, told)
        self.orders.carry_out(carried_out)
        self.orders.start()
        self._follow(keys.orders(self._place.fleet), self._see_orders)
        self._follow(keys.replicas(self._place.fleet), self._see_replicas)
        self._follow(keys.rollouts(self._place.fleet), lambda view: self.rollouts.see(view.values))
        if self._tickets is not None:
            self._tickets.start()
            self._follow(self._tickets.prefix, self._tickets.see)

    async def begun(self) -> None:
        """Return when the orders of the fleet are applied, its replicas and keys known, or that cannot be had soon."""

        async def seen() -> None:
            await self._orders_seen.wait()
            await self._replicas_seen.wait()
            if self._tickets is not None:
                await self._tickets.seen.wait()

        await tasks.first(seen(), self._reach.failing.wait(), within=PATIENCE)

    def join(self) -> None:
        """This generation serves: tell the others."""
        self._presence.start()
        self._tasks.append(tasks.start(self._keep_looking(), name="fleet look"))

    def look(self) -> None:
        """There is something to tell the others at once."""
        self._news.set()

    def retire(self) -> None:
        """The next generation serves. It takes the key over, which stays as it is until then."""
        self._replaced = True  # what older ones say is told to the next one
        self._presence.retire()

    def give(self, pool: str, name: str, told: Said, stamp: Stamp, fields: tuple[str, ...] | None = None) -> None:
        """An operator has ordered that here, and it is carried out here: see `SharedOrders.give`."""
        self.orders.give(Key(pool, name), told, stamp, fields)

    def given(self, pool: str, name: str) -> dict[str, list[Any]]:
        """The orders for a backend, as `hear` takes them."""
        return merge.encode(self.orders.book.entries.get(Key(pool, name), {}))

    def hear(self, pool: str, name: str, told: Said, given: Mapping[str, Any] | None) -> None:
        """Operators have told the generation before this one so; this one may know of later orders by now.

        given: what was `given` there, by which the later ones are told; None: it had no fleet, or cannot say.
        """
        try:
            self.orders.hear(Key(pool, name), merge.decode(name, given))
        except ValueError:
            self._balancer.apply(pool, name, told)
            self.give(pool, name, told, Stamp("", time.time()))

    async def stop(self) -> None:
        """Tell the others that this balancer ends, unless another generation of it goes on."""
        self._ended = True
        await tasks.stop(*self._tasks)
        await self.orders.stop()
        if self._tickets is not None:
            await self._tickets.stop()
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
            "orders": self.orders.book.memory(),
            "applied": self.applied,
            "secret": self._mark,
            "tickets": None if self._tickets is None else self._tickets.ring.memory(),
        }

    def instance(self, names: Iterable[tuple[str, str]]) -> InstanceInFleetView:
        """What the others make of the orders for these backends, each a pool and a name."""
        own, book, now = [Key(*one) for one in names], self.orders.book, time.monotonic()
        ordered = [
            Ordered(
                key,
                book.modified.get(key, 0),
                now - self.orders.seen_at.get(key, now),
                key in book.entries,
            )
            for key in own
        ]
        known = "" if self._replicas_seen.is_set() else UNKNOWN
        place, last = self._place, max((one.modified for one in ordered if one.given), default=0)
        behind = [BEHIND] if (self._balancer.heard(last) or 0) < last else []
        return {
            "here_only": next(filter(None, map(self.orders.here_only, own)), known),
            # By then the lease of one that has died has ended: it is named as dead, not as silent.
            "replicas": [
                *waited_for(ordered, self._roster, place.replica, place.ttl + LATE),
                *(missing(place.replica, what) for what in behind),
            ],
        }

    def view(self) -> FleetView:
        """For the snapshot."""
        presence, reach, tickets = self._presence, self._reach, self._tickets
        ignored = {} if tickets is None else tickets.ignored
        return {
            "name": self._place.fleet,
            "replica": self._place.replica,
            "membership": presence.membership.value,
            "other": presence.other,
            "unreachable_since": reach.since,
            "error": reach.error,
            "replicas": self._replicas(),
            "orders": self.orders.view(self._balancer.has),
            "rollouts": self.rollouts.views,
            "tickets": None if tickets is None else tickets.view(),
            "ignored": self._roster.ignored | self.orders.ignored | self.rollouts.ignored | ignored,
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
        self._replicas_seen.set()
        self._presence.seen(view.values.get(self._place.key))
        others = {name: one for name, one in self._roster.live.items() if name != self._place.replica}
        self._compare_secrets(others)
        for key, replica in self._evidence.see(others, time.monotonic()):
            named = Key.parse(key)
            if self._balancer.probe(*named):
                event(log, logging.INFO, "fleet_evidence", pool=named.pool, backend=named.backend, replica=replica)

    def _compare_secrets(self, others: Mapping[str, Replica]) -> None:
        """TLS sessions do not resume at a replica that has another secret: that is logged once."""
        before = self._others
        self._others = {name for name, one in others.items() if self._mark and one.secret not in ("", self._mark)}
        for name in sorted(self._others - before):
            event(log, logging.ERROR, "fleet_secret_differs", replica=name, here=self._mark, there=others[name].secret)

    def _see_orders(self, view: View) -> None:
        self.orders.see(view)
        self._orders_seen.set()
        self._news.set()

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
            await self._look()
            await tasks.wait_for(self._news, LOOK)

    async def _look(self) -> None:
        """What is acknowledged was counted after every process had heard of it."""
        self._news.clear()
        revision = self._heard()
        news = revision != self.applied or self._left or self._balancer.left()
        if revision is not None and news and await self._balancer.count():
            self.applied, self._left = revision, self._balancer.left()
        self._presence.look()

    def _heard(self) -> int | None:
        """The revision of orders that all generations have heard of; None if one of them has not said so yet."""
        revision = self.orders.book.revision
        return revision if self._replaced else self._balancer.heard(revision)

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
            self.applied,
            self._left,
            tuple(sorted(one.removeprefix(keys.orders(place.fleet)) for one in self.orders.ignored)),
            self._balancer.ejected(),
            self._mark,
            self._balancer.rotation(),
            tuple(self._balancer.out()),
        )


def _begun(place: Place, mark: str, memory: Memory | None, now: float) -> Begun:
    if memory is None:
        return Begun(now, now, now)
    same_configuration = (memory["configuration"], memory["secret"]) == (place.configuration, mark)
    same_version = memory["version"] == place.version
    return Begun(
        memory["since"],
        memory["configured"] if same_configuration else now,
        memory["upgraded"] if same_version else now,
    )
