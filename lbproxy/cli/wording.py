"""The words that both views of the status use. Those without colours are `control.wording`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbproxy.control.snapshot import BackendView
from lbproxy.control.wording import (
    discovery,
    duration,
    failed,
    fleet_state,
    here_only,
    refusals,
    said,
    share,
    size,
    time_of,
    title,
    waiting_order,
    waits,
)

if TYPE_CHECKING:
    from rich.text import Text

__all__ = [
    "colour",
    "discovery",
    "duration",
    "failed",
    "fleet_state",
    "here_only",
    "refusals",
    "said",
    "share",
    "size",
    "state",
    "time_of",
    "title",
    "waiting_order",
    "waits",
]

_COLOURS = {"up": "green", "down": "red", "new": "yellow"}


def state(backend: BackendView) -> Text:
    """The state of a backend, and what else keeps it from its share of the requests."""
    from rich.text import Text

    notes = [
        backend["state"],
        ("standby, waits" if waits(backend) else "standby") if backend["standby"] else "",
        f"weight {backend['weight']}" if backend["weight"] != 1 else "",
        "draining" if backend["draining"] else "",
        "inconsistent" if backend["inconsistent"] else "",
        f"held {duration(backend['held_seconds'])}" if backend["held_seconds"] else "",
        f"slow start {backend['ramp']:.0%}" if backend["ramp"] < 1 else "",
    ]
    return Text(", ".join(filter(None, notes)), style=colour(backend))


def colour(backend: BackendView) -> str:
    """Red is down; yellow is kept out of rotation, or not known yet."""
    kept_out = backend["draining"] or backend["inconsistent"] or not backend["weight"]
    return "yellow" if kept_out else _COLOURS[backend["state"]]
