"""Replicas are upgraded one after the other, under load: no request is lost, and every order holds.

LBPROXY_FULL=1: 20 upgrades; otherwise two.
"""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from pathlib import Path
from signal import SIGUSR2
from typing import Any

from .balancer import Balancer
from .conftest import Backends
from .crowd import Crowd, serve_posts
from .reloads import comes_true
from .test_fleet import Fleet, drained, fleet_name, in_fleet, replica, told

__all__ = ["fleet_name", "replica"]

UPGRADES = 20 if os.environ.get("LBPROXY_FULL") else 2


def has_weight(weight: int, snapshot: dict[str, Any]) -> bool:
    """Of the second backend."""
    return bool(snapshot["pools"][0]["backends"][1]["weight"] == weight)


async def upgrade(balancer: Balancer, count: int) -> None:
    """USR2, and wait until the next generation of the next program serves alone."""
    [old] = balancer.generations
    balancer.signal(SIGUSR2)
    await balancer.logged("INFO upgrading", count=count)
    await comes_true(lambda: old not in balancer.generations and len(balancer.generations) == 1)
    assert b"resume" in Path(f"/proc/{balancer.master}/cmdline").read_bytes()


async def test_upgrades_of_alternating_replicas_lose_no_request_and_no_order(
    backends: Backends, replica: Fleet
) -> None:
    members = await backends(serve_posts, serve_posts, serve_posts)
    both = [await replica(f"lb{number}", *members, workers=number) for number in (1, 2)]
    one, other = both
    await in_fleet(one, lambda fleet: len(fleet["replicas"]) == 2)
    await told("drain", "-c", str(one.path), "c1")
    async with (
        Crowd(one.connect, kept=3, new=1, name="one") as here,
        Crowd(other.connect, kept=3, new=1, name="other") as there,
    ):
        for number in range(UPGRADES):
            balancer, last = both[number % 2], both[(number + 1) % 2]
            await upgrade(balancer, number // 2 + 1)
            await told("backend", "set", "-c", str(last.path), "connectors/c2", "--weight", str(number + 2))
            await told("ready" if number % 2 else "drain", "-c", str(balancer.path), "c3")
            for each in both:
                await drained(each, "c1", *([] if number % 2 else ["c3"]))
                await each.until(partial(has_weight, number + 2))
    runs = Counter(request.target for member in members for request in member.requests)
    answered = [*here.answered, *there.answered]
    assert runs == Counter(answered), "each ran once, and was answered"
    assert not members[0].requests
    for each in both:
        names = {view["name"] for view in (await in_fleet(each, lambda fleet: True))["replicas"]}
        assert names == {"lb1", "lb2"}
        assert not [line for line in each.log if "fleet_name" in line or "connections_cut" in line]
    print(f"{UPGRADES} upgrades, {len(answered)} requests")
