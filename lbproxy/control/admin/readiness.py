"""Whether lbproxy should get traffic, for a balancer in front of several of it."""

from __future__ import annotations

from lbproxy.control.snapshot import ShutOutView, Snapshot


def readiness(snapshot: Snapshot) -> tuple[bool, str]:
    """Whether it should, and one sentence that says so.

    It should while it serves, every pool has a backend in rotation, and every listener lets clients in. A pool with
    `ready_when_all_down` is named, as is a listener that refuses some of its clients, but they are no reason to leave.
    """
    if snapshot["state"] != "serving":
        return False, f"lbproxy is {snapshot['state']}"
    grave: list[str] = []
    slight: list[str] = []
    dead = [pool for pool in snapshot["pools"] if not any(backend["in_rotation"] for backend in pool["backends"])]
    for stays, found in ((False, grave), (True, slight)):
        if pools := [pool["name"] for pool in dead if pool["ready_when_all_down"] is stays]:
            found.append(f"no backend is in rotation in pool {', '.join(pools)}")
    for listener in snapshot["listeners"]:
        if (shut := listener["shut_out"]) is not None:
            (grave if shut["everybody"] else slight).append(_refuses(listener["name"], shut))
    if grave:
        return False, "; ".join(grave)
    return True, f"ok, but {'; '.join(slight)}" if slight else "ok"


def _refuses(listener: str, shut: ShutOutView) -> str:
    clients = "all clients" if shut["everybody"] else "some clients"
    missing = ", ".join(shut["authorities"])
    return f"listener {listener} refuses {clients}: no current revocation list of {missing}"
