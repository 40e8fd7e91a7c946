"""A balancer of a fleet, as it tells of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lbproxy.control.fleet.replica import Replica

REPLICA = Replica(
    run="r1",
    generation=1,
    host="lb1.corp.example",
    version="0.1.0",
    configuration="5f2b8c1a9d3e",
    since=1000.0,
    configured=1000.0,
    upgraded=1000.0,
    state="serving",
    listeners={"login": "connectors"},
    backends={"connectors": {"up": 2}},
)


def replica(**changed: Any) -> Replica:
    """REPLICA, with what has `changed`."""
    return replace(REPLICA, **changed)
