"""Whether lbproxy should get traffic, for whoever balances between several of it."""

from __future__ import annotations

from lbproxy.control.snapshot import Snapshot


def why_not_ready(snapshot: Snapshot) -> str | None:
    """One sentence, or None: it serves, and every pool has a backend in rotation."""
    if snapshot["state"] != "serving":
        return f"lbproxy is {snapshot['state']}"
    dead = [pool["name"] for pool in snapshot["pools"] if not any(b["in_rotation"] for b in pool["backends"])]
    return f"no backend is in rotation in pool {', '.join(dead)}" if dead else None
