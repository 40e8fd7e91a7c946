"""Which keys of etcd the balancers of a fleet share, and how their values are read.

    /lbproxy/FLEET/replicas/REPLICA      a balancer that runs, under its lease
    /lbproxy/FLEET/orders/POOL/BACKEND   what operators have ordered for a backend; it stays
    /lbproxy/FLEET/rollouts/POOL/lock      which rollout has the pool, under the lease of its command
    /lbproxy/FLEET/rollouts/POOL/progress  how far it has come; it stays if it stops
    /lbproxy/FLEET/tickets/MARK/NUMBER   a key of session tickets, sealed under the secret with that mark

Values are JSON objects with a `format`. A value of another format was written by a newer lbproxy: it is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeGuard

FORMAT = 1

LAST = 9_000_000_000
"""Seconds since the epoch, in the year 2255: what is said to be later is no time, and could not be shown as one."""


def replicas(fleet: str) -> str:
    """The prefix of the balancers."""
    return f"/lbproxy/{fleet}/replicas/"


def orders(fleet: str) -> str:
    """The prefix of the orders."""
    return f"/lbproxy/{fleet}/orders/"


def rollouts(fleet: str) -> str:
    """The prefix of the rollouts."""
    return f"/lbproxy/{fleet}/rollouts/"


def tickets(fleet: str, mark: str) -> str:
    """The prefix of the keys of session tickets, for replicas whose secret has that mark."""
    return f"/lbproxy/{fleet}/tickets/{mark}/"


def encode(fields: Mapping[str, Any]) -> bytes:
    """`fields` as etcd has them."""
    return json.dumps({"format": FORMAT, **fields}, separators=(",", ":")).encode()


def decode(value: bytes) -> dict[str, Any]:
    """The fields of a value. Raises ValueError, which says what is wrong with it."""
    try:
        told = json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(told, dict):
        raise ValueError("not a JSON object")
    if told.pop("format", None) != FORMAT:
        raise ValueError(f"its format is not {FORMAT}: a newer lbproxy has written it")
    return told


def is_time(value: object) -> TypeGuard[float]:
    """Whether that is seconds since the epoch."""
    return isinstance(value, int | float) and 0 <= value <= LAST


def _refuse(constant: str) -> None:
    """NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(constant)
