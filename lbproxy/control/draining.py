"""What an instance that gets no new work still has to finish."""

from __future__ import annotations

from lbproxy.control.instance import members
from lbproxy.control.snapshot import InstanceView


def unfinished(instance: InstanceView) -> str:
    """What is open in all of its pools, as in "2 requests, 1 tunnel, 1 private lane", or "" when it may be stopped.

    A private lane without a request counts: its client may send the next one at any moment, and only there. A tunnel
    most often has a private lane, which is then not counted besides. Workers of a killed generation count, as they may
    have requests there, or send some.
    """
    backends = [one["backend"] for one in members(instance)]
    open_now = (
        (sum(one["active"] - one["tunnels"] for one in backends), "request"),
        (sum(one["tunnels"] for one in backends), "tunnel"),
        (sum(max(0, one["private_lanes"] - one["tunnels"]) for one in backends), "private lane"),
    )
    killed = ["what workers of a killed generation have"] if instance["killed_generations"] else []
    return ", ".join([*(_counted(number, what) for number, what in open_now if number), *killed])


def waited_for(instance: InstanceView) -> str:
    """All that a drain waits for: what is open here, and what is missing on the other replicas; "" when it is done."""
    left = unfinished(instance)
    return "; ".join([*([f"{left} to finish"] if left else []), *missing_elsewhere(instance)])


def missing_elsewhere(instance: InstanceView) -> list[str]:
    """What is missing on the other replicas of the fleet until they have carried out the orders for the instance."""
    fleet = instance["fleet"]
    if fleet is None:
        return []
    here_only = [f"the order to reach the fleet ({fleet['here_only']})"] if fleet["here_only"] else []
    waits = [f"{one['replica']}: {one['what']}" for one in fleet["replicas"] if one["what"] and not one["gone"]]
    return [*here_only, *waits]


def silent(instance: InstanceView) -> str:
    """Which replicas live, and have not applied the order within their lease: "lb2 has not applied the order"."""
    fleet = instance["fleet"]
    return (
        ""
        if fleet is None
        else "; ".join(f"{one['replica']} {one['what']}" for one in fleet["replicas"] if one["silent"])
    )


def died(instance: InstanceView) -> str:
    """The replicas whose lease has ended: they are not waited for, though they may be cut off from etcd only."""
    fleet = instance["fleet"]
    names = [] if fleet is None else [one["replica"] for one in fleet["replicas"] if one["gone"]]
    return f"{', '.join(names)}: not waited for, since the lease has ended" if names else ""


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
