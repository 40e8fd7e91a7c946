"""An instance: the backends of one name, in all pools that have one."""

from __future__ import annotations

from lbproxy.control.snapshot import BackendInPool, InstanceView


def members(instance: InstanceView) -> list[BackendInPool]:
    """Its backends, in the order of their pools."""
    return [{"pool": instance["pool"], "backend": instance["backend"]}, *instance["others"]]


def order_name(instance: InstanceView) -> str:
    """The name by which exactly these backends are asked for again: POOL/NAME, or NAME where they are several."""
    name = instance["backend"]["name"]
    return name if instance["others"] else f"{instance['pool']}/{name}"


def title(instance: InstanceView) -> str:
    """For people: "connectors/c1", or "c1 (pools connectors, raw)"."""
    if not instance["others"]:
        return order_name(instance)
    return f"{instance['backend']['name']} (pools {', '.join(one['pool'] for one in members(instance))})"
