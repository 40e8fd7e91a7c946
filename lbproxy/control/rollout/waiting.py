"""What an instance is waited for, in words; "" when there is nothing left to wait for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lbproxy.control.draining import missing_elsewhere, silent, waited_for
from lbproxy.control.instance import members
from lbproxy.control.snapshot import BackendView, InstanceView
from lbproxy.errors import RolloutError


def until_finished(instance: InstanceView) -> str:
    """The end of everything that is open, in all pools and on all replicas.

    Raises RolloutError if a replica lives and has not applied the order within its lease.
    """
    if late := silent(instance):
        raise RolloutError(f"{late} within its lease, though it runs")
    return waited_for(instance)


def everywhere(instance: InstanceView, awaited: Callable[[str, BackendView], str]) -> str:
    """What each backend of the instance is waited for: `awaited` tells it of a pool's name and the backend there."""
    told = [(one["pool"], what) for one in members(instance) if (what := awaited(one["pool"], one["backend"]))]
    return "; ".join(f"pool {pool}: {what}" if instance["others"] else what for pool, what in told)


def until_good(backend: BackendView, since: float, expected: Mapping[str, str]) -> str:
    """Health, and facts as they are `expected`, both seen within the last `since` seconds.

    A probe that began before that saw the backend as it was before its command had ended, and counts for nothing.
    """
    probe = backend["probe"]
    if probe is None or probe["age_seconds"] + probe["took_seconds"] > since:
        return "its next probe"
    if not probe["ok"]:
        return f"a good probe (the last one: {probe['detail']})"
    if backend["state"] != "up":
        return "another good probe"
    return ", ".join(
        f"{name} to be {value} (it is {backend['facts'].get(name) or 'unknown'})"
        for name, value in expected.items()
        if backend["facts"].get(name) != value
    )


def until_back(backend: BackendView) -> str:
    """Rotation, with its whole share of the new work."""
    if not backend["in_rotation"]:
        return f"rotation (unlike the others: {backend['inconsistent']})" if backend["inconsistent"] else "rotation"
    return f"the end of its slow start (at {backend['ramp']:.0%})" if backend["ramp"] < 1 else ""


def until_back_everywhere(instance: InstanceView) -> str:
    """The same in all of its pools, and on every live replica that it is not drained and not down any more.

    Two instances that are out at once, one here and one there, may be all that a pool has.
    """
    here = everywhere(instance, lambda _, backend: until_back(backend))
    replicas = [] if instance["fleet"] is None else instance["fleet"]["replicas"]
    down = [
        f"{one['replica']}: rotation (down there{_in_pools(one['down']) if instance['others'] else ''})"
        for one in replicas
        if one["down"] and not one["what"]
    ]
    return "; ".join([*([here] if here else []), *missing_elsewhere(instance), *down])


def _in_pools(names: list[str]) -> str:
    return f" in {', '.join(names)}"
