"""What one generation leaves to the next, so that a reload forgets nothing: JSON, over the master."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, TypedDict

from lbproxy.auth.mint import Mint, MintedRecord
from lbproxy.balance import full_name
from lbproxy.balance.condition import Condition
from lbproxy.balance.member import Member
from lbproxy.balance.membership import OPERATOR
from lbproxy.balance.operators import hear_all
from lbproxy.balance.orders import Order
from lbproxy.balance.pool import Pool
from lbproxy.process.ipc.channel import Channel
from lbproxy.process.ipc.master_messages import FromGeneration, ToGeneration
from lbproxy.process.ipc.worker_messages import FromForker, ToForker
from lbproxy.status.served import Origin

if TYPE_CHECKING:  # what workers have no use for, they do not load
    from lbproxy.control.consistency.guard import Memory
    from lbproxy.control.discovery.discovery import Discovery
    from lbproxy.control.discovery.discovery import Memory as Discovered
    from lbproxy.control.fleet.fleet import Memory as InFleet
    from lbproxy.control.log.recent import EventsView, RecentEvents
    from lbproxy.control.probes.kerberos.memory import Memory as KerberosMemory
    from lbproxy.control.probes.kerberos.sign_ins import SignIns
    from lbproxy.control.rollout.local import KeptRollout
    from lbproxy.dashboard.sessions import SessionView
    from lbproxy.runtime.pool_control import PoolControl
    from lbproxy.status.counter_history import Accounts

SECRET_LIFETIME = 86400.0
"""Seconds after which a reload makes a new secret: a stolen secret opens the TLS 1.2 sessions that it sealed."""


FORMAT = 6
"""Of a `HandoverState`. It changes with its fields, so that after an upgrade no generation misreads the state:
`handover_formats` reads those of other versions.

`secret` stays as it is in every format, or TLS sessions would end.
"""


class Known(TypedDict):
    """A backend: where it was, and how it was (a `Condition`)."""

    url: str
    condition: list[Any]


class Operated(TypedDict):
    """What operators say of a pool: the members that they have added (`Member`), and their orders by name (`Order`)."""

    members: list[list[Any]]
    orders: dict[str, dict[str, Any]]


class Secret(TypedDict):
    """What session tickets are sealed with, in hexadecimal, and the monotonic second at which it was made."""

    value: str
    made: float


class HandoverState(TypedDict):
    """`backends` are keyed POOL/NAME, `operated` and `guards` by the pool, what is `minted` by the listener,
    `discovered` by the pool and the source's name.

    `kerberos` is what such checks know, `fleet` what is known of [fleet].

    `started` is the monotonic second at which lbproxy did. There are secrets in it: it is never written anywhere.
    """

    format: int
    backends: dict[str, Known]
    operated: dict[str, Operated]
    discovered: dict[str, dict[str, Discovered]]
    guards: dict[str, Memory]
    kerberos: KerberosMemory
    minted: dict[str, list[MintedRecord]]
    secret: Secret
    accounts: Accounts
    started: float
    fleet: InFleet | None
    history: NotRequired[dict[str, str]]  # what one that does not know it may leave out, and pass over
    events: NotRequired[EventsView]
    rollouts: NotRequired[list[KeptRollout]]
    web: NotRequired[list[SessionView]]


class StartInputs(NamedTuple):
    """What the master gives a generation: its `number`, the sockets by listener, and what the one before it left."""

    number: int
    origin: Origin
    channel: Channel[FromGeneration, ToGeneration]
    sockets: Mapping[str, socket.socket]
    admin: socket.socket
    secret: Secret
    state: HandoverState | None = None
    forker: Channel[ToForker, FromForker] | None = None  # None: one worker only, in this process
    health: socket.socket | None = None  # None: asked for over `admin` only
    metrics: socket.socket | None = None  # the same
    web: socket.socket | None = None  # None: there is no [admin.web]
    events: RecentEvents | None = None  # what was logged until it starts, on top of what `state` has


def secret(state: HandoverState | None, now: float) -> Secret:
    """The one that was handed over, or a new one."""
    if state is not None and now - state["secret"]["made"] < SECRET_LIFETIME:
        return state["secret"]
    return {"value": os.urandom(32).hex(), "made": now}


def export(pool_controls: Mapping[str, PoolControl]) -> dict[str, Known]:
    """How every backend is."""
    return {
        full_name.join(pool_control.pool.name, backend.name): {
            "url": backend.url,
            "condition": list(pool_control.pool.condition(backend)),
        }
        for pool_control in pool_controls.values()
        for backend in pool_control.pool.backends
    }


def export_operated(pools: Mapping[str, Pool]) -> dict[str, Operated]:
    """What operators say of each pool."""
    return {
        name: {
            "members": [list(member) for member in pool.membership.of(OPERATOR)],
            "orders": {name: order.encode() for name, order in pool.orders.items()},
        }
        for name, pool in pools.items()
    }


def export_discovered(pool_controls: Mapping[str, PoolControl]) -> dict[str, dict[str, Discovered]]:
    """The last set of each source of members."""
    return {
        name: {discovery.source.name: discovery.memory() for discovery in pool_control.discoveries}
        for name, pool_control in pool_controls.items()
    }


def rediscover(
    discovered: Mapping[str, Mapping[str, Discovered]], discoveries: Mapping[str, Iterable[Discovery]]
) -> None:
    """Let each pool have what its sources said last, until they answer; by the pool's name."""
    for name, those in discoveries.items():
        for discovery in those:
            if memory := discovered.get(name, {}).get(discovery.source.name):
                discovery.remember(memory)


def export_guards(pool_controls: Mapping[str, PoolControl]) -> dict[str, Memory]:
    """What each pool's consistency guard knows."""
    return {
        name: pool_control.guard.memory()
        for name, pool_control in pool_controls.items()
        if pool_control.guard is not None
    }


def export_kerberos(pool_controls: Mapping[str, PoolControl], sign_ins: SignIns) -> KerberosMemory:
    """What kerberos checks know, with their tickets."""
    memories = {name: pool_control.probes.memory() for name, pool_control in pool_controls.items()}
    pools = {name: memory for name, memory in memories.items() if memory is not None}
    return {"sign_ins": sign_ins.memory(), "pools": pools}


def export_minted(mints: Mapping[str, Mint]) -> dict[str, list[MintedRecord]]:
    """What each listener's mint has made."""
    return {name: mint.minted_records() for name, mint in mints.items()}


def remember_minted(minted: Mapping[str, list[MintedRecord]], mints: Mapping[str, Mint]) -> None:
    """Go on with what was made under the same CA."""
    for name, mint in mints.items():
        for minted_record in minted.get(name, []):
            mint.remember(minted_record)


def operate(operated: Mapping[str, Operated], pools: Mapping[str, Pool]) -> dict[str, tuple[str, ...]]:
    """Go on with what operators have said. Returns, by pool, why backends that they have added are left out.

    What the file has wins, and so do its limits. A pool that the file has no more takes its orders with it.
    """
    left_out = {}
    for name, told in operated.items():
        members = [Member.decode(one) for one in told["members"]]
        if name in pools:
            orders = {one: Order.decode(order) for one, order in told["orders"].items()}
            left_out[name] = hear_all(pools[name], members, orders)
        else:
            left_out[name] = tuple(f"{member.name}: the configuration has no pool {name}" for member in members)
    return left_out


def adopt(known: Mapping[str, Known], pools: Mapping[str, Pool], now: float) -> None:
    """Go on from there, after `operate`. What was found out at one address is not true of another."""
    for pool in pools.values():
        for backend in pool.backends:
            found = known.get(full_name.join(pool.name, backend.name))
            if found is not None and found["url"] == backend.url:
                condition = Condition(*found["condition"])._replace(
                    draining=backend.draining, weight=backend.weight, standby=backend.standby
                )  # which the new file and the orders say
                pool.adopt(backend, condition, now)
