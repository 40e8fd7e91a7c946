"""A client connection, as operators see it."""

from __future__ import annotations

from typing import Any

from lbproxy.control.live_connections import ConnectionView


def connection(**changes: Any) -> ConnectionView:
    """One that waits for its answer."""
    view: ConnectionView = {
        "id": "4711-57-4f8k2j1q",
        "listener": "login",
        "pool": "connectors",
        "address": "10.0.0.9:51234",
        "user": "CN=alice,O=Corp",
        "age_seconds": 125.0,
        "phase": "sent",
        "busy_seconds": 3.5,
        "requests": 12,
        "bytes_in": 9000,
        "bytes_out": 70000,
        "lanes": [{"backend": "c1", "private": True, "requests": 4}],
    }
    return {**view, **changes}  # type: ignore[typeddict-item]
