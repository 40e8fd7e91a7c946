"""Whether lbproxy should get traffic, for those who balance between several of it."""

from __future__ import annotations

from lbproxy.control.snapshot import PoolView, Snapshot


def readiness(snapshot: Snapshot) -> tuple[bool, str]:
    """Whether it should, and one sentence that says so.

    It should while it serves and every pool has a backend in rotation. A pool with `ready_when_all_down` is named, but
    is no reason to leave.
    """
    if snapshot["state"] != "serving":
        return False, f"lbproxy is {snapshot['state']}"
    dead = [pool for pool in snapshot["pools"] if not any(backend["in_rotation"] for backend in pool["backends"])]
    if leaves := [pool for pool in dead if not pool["ready_when_all_down"]]:
        return False, _no_backend(leaves)
    return True, f"ok, but {_no_backend(dead)}" if dead else "ok"


def _no_backend(pools: list[PoolView]) -> str:
    return f"no backend is in rotation in pool {', '.join(pool['name'] for pool in pools)}"
