"""Documents as TOML gives them: one that is sound, with changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LISTENER = {"bind": "127.0.0.1:1", "pool": "p"}
POOL = {"backends": [{"name": "c1", "url": "http://c1"}]}
PASSING = {"bind": "127.0.0.1:2", "pool": "t", "mode": "tcp"}
TCP_POOL = {"backends": [{"name": "t1", "url": "tcp://t1"}], "check": {"kind": "tcp"}}


def document(**changes: Any) -> dict[str, Any]:
    """A listener `a` of a pool `p`; `listener` and `pool` replace these tables as a whole."""
    return {"listener": {"a": LISTENER}, "pool": {"p": POOL}} | changes


def with_pool(pool: Mapping[str, Any] = POOL, **keys: Any) -> dict[str, Any]:
    """The pool `p` with these keys."""
    return document(pool={"p": {**pool, **keys}})


def with_listener(listener: Mapping[str, Any] = LISTENER, **keys: Any) -> dict[str, Any]:
    """The listener `a` with these keys, beside both kinds of pool."""
    return document(listener={"a": {**listener, **keys}}, pool={"p": POOL, "t": TCP_POOL})
