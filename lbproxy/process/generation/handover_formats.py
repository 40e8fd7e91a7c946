"""The handover state of other versions, after an upgrade, in the form of this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from lbproxy.balance import full_name
from lbproxy.process.generation.handover import FORMAT, HandoverState

FIRST = 1
"""The format of the releases without weights, standbys and orders on names."""

_DRAINING = 2  # where a condition of that format has it
_SLOW_SINCE = 10  # what comes before it stands where it stood


def understood(left: Mapping[str, Any] | None) -> HandoverState | None:
    """What was left, in this version's format; None if that cannot be made of it."""
    if left is None or left.get("format") == FORMAT:
        return cast("HandoverState | None", left)
    return _of_first(left) if left.get("format") == FIRST else None


def _of_first(left: Mapping[str, Any]) -> HandoverState:
    """That format has no state of Kerberos checks: they begin anew. An operator's drain is an order from now on."""
    backends: Mapping[str, Mapping[str, Any]] = left["backends"]
    operated: dict[str, Any] = {}
    for name, known in backends.items():
        if known["condition"][_DRAINING]:
            pool, backend = full_name.split(name)
            operated.setdefault(pool, {"members": [], "orders": {}})["orders"][backend] = {"drain": True}
    return cast(
        HandoverState,
        {
            **left,
            "format": FORMAT,
            "backends": {
                name: {**known, "condition": _condition(known["condition"])} for name, known in backends.items()
            },
            "operated": operated,
            "discovered": {},
            "kerberos": {"sign_ins": {}, "pools": {}},
            "fleet": None,
        },
    )


def _condition(values: list[Any]) -> list[Any]:
    """With the default weight, and no standby."""
    return [*values[:_SLOW_SINCE], 1, False, values[_SLOW_SINCE]]
