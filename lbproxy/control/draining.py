"""What a backend that gets no new work still has to finish."""

from __future__ import annotations

from lbproxy.control.snapshot import BackendView


def unfinished(backend: BackendView) -> str:
    """What is open, as in "2 requests, 1 tunnel, 1 private lane", or "" when it may be stopped.

    A private lane without a request counts: its client may send the next one at any moment, and only there. A tunnel
    most often has a private lane, which is then not told of besides.
    """
    tunnels = backend["tunnels"]
    open_now = (
        (backend["active"] - tunnels, "request"),
        (tunnels, "tunnel"),
        (max(0, backend["private_lanes"] - tunnels), "private lane"),
    )
    return ", ".join(_counted(number, what) for number, what in open_now if number)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
