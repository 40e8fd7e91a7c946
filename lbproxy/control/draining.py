"""What an instance that gets no new work still has to finish."""

from __future__ import annotations

from lbproxy.control.instance import members
from lbproxy.control.snapshot import InstanceView


def unfinished(instance: InstanceView) -> str:
    """What is open in all of its pools, as in "2 requests, 1 tunnel, 1 private lane", or "" when it may be stopped.

    A private lane without a request counts: its client may send the next one at any moment, and only there. A tunnel
    most often has a private lane, which is then not counted besides.
    """
    backends = [one["backend"] for one in members(instance)]
    open_now = (
        (sum(one["active"] - one["tunnels"] for one in backends), "request"),
        (sum(one["tunnels"] for one in backends), "tunnel"),
        (sum(max(0, one["private_lanes"] - one["tunnels"]) for one in backends), "private lane"),
    )
    return ", ".join(_counted(number, what) for number, what in open_now if number)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
