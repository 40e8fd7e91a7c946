"""What one generation leaves to the next, so that a reload forgets nothing: JSON, over the master."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from lbproxy.auth.mint import Keepsake, Mint
from lbproxy.balance.backend import Backend
from lbproxy.balance.condition import Condition
from lbproxy.balance.pool import Pool
from lbproxy.process.channel import Channel

if TYPE_CHECKING:  # what workers have no use for, they do not load
    from lbproxy.control.consistency.guard import Memory
    from lbproxy.process.ledger import Accounts
    from lbproxy.process.link import Link

SECRET_LIFETIME = 86400.0
"""Seconds after which a reload makes a new secret: who learns one can read the TLS 1.2 sessions that it sealed."""


FORMAT = 1
"""Of a `State`. It changes with what is in it, so that after an upgrade no generation reads what it may misunderstand.

`secret` stays as it is in every format, or TLS sessions would end.
"""


class Known(TypedDict):
    """A backend: where it was, and how it was (a `Condition`)."""

    url: str
    condition: list[Any]


class Secret(TypedDict):
    """What session tickets are sealed with, in hexadecimal, and the monotonic second at which it was made."""

    value: str
    made: float


class State(TypedDict):
    """`backends` are keyed POOL/NAME, `guards` by the pool, what is `minted` by the listener.

    `started` is the monotonic second at which lbproxy did. There are secrets in it: it is never written anywhere.
    """

    format: int
    backends: dict[str, Known]
    guards: dict[str, Memory]
    minted: dict[str, list[Keepsake]]
    secret: Secret
    accounts: Accounts
    started: float


class Inherited(NamedTuple):
    """What the master gives a generation: its `number`, the sockets by listener, and what the one before it left."""

    number: int
    channel: Channel
    sockets: Mapping[str, socket.socket]
    admin: socket.socket
    secret: Secret
    state: State | None = None
    nursery: Channel | None = None  # None: one worker only, in this process
    health: socket.socket | None = None  # None: asked for over `admin` only


def understood(state: State | None) -> State | None:
    """`state`, unless another version of lbproxy has left it in another format."""
    return state if state is None or state.get("format") == FORMAT else None


def secret(state: State | None, now: float) -> Secret:
    """The one that was handed over, or a new one."""
    if state is not None and now - state["secret"]["made"] < SECRET_LIFETIME:
        return state["secret"]
    return {"value": os.urandom(32).hex(), "made": now}


def export(links: Mapping[str, Link]) -> dict[str, Known]:
    """How every backend is."""
    return {
        f"{link.pool.name}/{backend.name}": {
            "url": backend.url,
            "condition": list(link.pool.condition(backend)),
        }
        for link in links.values()
        for backend in link.pool.backends
    }


def export_guards(links: Mapping[str, Link]) -> dict[str, Memory]:
    """What each pool's consistency guard knows."""
    return {name: link.guard.memory() for name, link in links.items() if link.guard is not None}


def export_minted(mints: Mapping[str, Mint]) -> dict[str, list[Keepsake]]:
    """What each listener's mint has made."""
    return {name: mint.keepsakes() for name, mint in mints.items()}


def remember_minted(minted: Mapping[str, list[Keepsake]], mints: Mapping[str, Mint]) -> None:
    """Go on with what was made under the same CA."""
    for name, mint in mints.items():
        for keepsake in minted.get(name, []):
            mint.remember(keepsake)


def adopt(known: Mapping[str, Known], pools: Mapping[str, Pool], now: float) -> None:
    """Go on from there. What was found out at one address is not true of another: there only a drain is kept."""
    for pool in pools.values():
        for backend in pool.backends:
            found = known.get(f"{pool.name}/{backend.name}")
            if found is not None:
                _adopt(pool, backend, found, now)


def _adopt(pool: Pool, backend: Backend, found: Known, now: float) -> None:
    condition = Condition(*found["condition"])
    if found["url"] == backend.url:
        pool.adopt(backend, condition, now)
    elif condition.draining:
        pool.drain(backend)
