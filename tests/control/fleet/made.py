"""A balancer of a fleet, as it tells of itself."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from lbproxy.control.fleet.replica import Replica

NOW = time.time()
"""When orders of tests are given: what was taken back long before that is deleted as soon as it is written."""

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
