"""Balancers of one fleet that are cut off from each other, in network namespaces; only root makes them.

LBPROXY_FULL=1: cut off for 30 s.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.etcd_server import Node, cluster, started
from tests.namespaces import Host, Switch, needs_root

from .balancer import Balancer
from .configuration import configuration
from .surroundings import PLAIN, Surroundings
from .test_fleet import drained, in_fleet, told

FULL = bool(os.environ.get("LBPROXY_FULL"))
CUT_OFF_FOR = 30.0 if FULL else 0.0
"""Seconds, beside what the orders take."""

BACKENDS = [(name, f"http://127.0.0.1:{port}") for port, name in enumerate(("c1", "c2", "c3", "c4"), 9)]


@asynccontextmanager
async def replica(
    folder: Path, name: str, etcd: list[str], host: Host | None = None, **changes: Any
) -> AsyncIterator[Balancer]:
    """A balancer, on its own host if there is one."""
    directory = folder / name
    directory.mkdir()
    fleet = {"name": "f", "replica": name, "etcd": etcd, "lease": "2s"}
    config = configuration(directory, BACKENDS, fleet=fleet, **{"server_url": "http://login.test", **changes})
    around = PLAIN if host is None else Surroundings(network=host.network)
    balancer = await Balancer.start(config, directory, around)
    try:
        yield balancer
    finally:
        await balancer.kill()
        print(*balancer.log, sep="\n")
        balancer.check()


async def set_weight(balancer: Balancer, name: str, weight: int) -> str:
    return await told("backend", "set", "-c", str(balancer.path), f"connectors/{name}", "--weight", str(weight))


def weights(snapshot: dict[str, Any]) -> list[int]:
    return [one["weight"] for one in snapshot["pools"][0]["backends"]]


@needs_root
async def test_one_is_cut_off_and_both_sides_give_orders(directory: Path, tmp_path: Path) -> None:
    """Of the same backend the later order counts on both sides; of others, all do."""
    with Switch("etcd", "lb1", "lb2") as switch:
        hosts = switch.hosts
        etcd = Node(tmp_path, "n0", f"{hosts['etcd'].address}:2379", [], hosts["etcd"].inside())
        with started([etcd]):
            async with (
                replica(directory, "lb1", [etcd.url], hosts["lb1"]) as one,
                replica(directory, "lb2", [etcd.url], hosts["lb2"]) as other,
            ):
                await in_fleet(one, lambda fleet: len(fleet["replicas"]) == 2)
                await in_fleet(other, lambda fleet: len(fleet["replicas"]) == 2)
                switch.unplug("lb2")
                assert "applied here only" in await set_weight(other, "c3", 2)
                out = await told("drain", "-c", str(one.path), "c1", "--wait", "--timeout", "60s")
                assert out.splitlines()[1:] == ["lb2: not waited for, since the lease has ended"]
                await set_weight(one, "c3", 4)
                await set_weight(one, "c4", 5)
                assert "applied here only" in await told("drain", "-c", str(other.path), "c2")
                assert "applied here only" in await set_weight(other, "c4", 6)
                await other.logged("ERROR fleet_unreachable")
                assert (await other.admin("/healthz")).status == 200
                await asyncio.sleep(CUT_OFF_FOR)
                await drained(one, "c1")
                await drained(other, "c2")
                switch.plug("lb2")
                for balancer in (one, other):
                    await drained(balancer, "c1", "c2")
                    await balancer.until(lambda seen: weights(seen) == [1, 1, 4, 6])
                    await in_fleet(balancer, lambda fleet: not any(order["here_only"] for order in fleet["orders"]))
                    await in_fleet(balancer, lambda fleet: len(fleet["replicas"]) == 2)
                await other.logged("WARNING fleet_order_superseded", "backend=c3", "here=2", "now=4", "replica=lb1")
                await one.logged("INFO fleet_order_applied", "backend=c4", "weight=6")
                await other.logged("INFO fleet_reached")


async def test_the_leader_of_etcd_dies(directory: Path, tmp_path: Path) -> None:
    """Nothing is out of reach for long: another node answers, and orders hold."""
    with cluster(tmp_path, 3) as nodes:
        urls = [each.url for each in nodes]
        async with replica(directory, "lb1", urls) as one, replica(directory, "lb2", urls) as other:
            await in_fleet(one, lambda fleet: len(fleet["replicas"]) == 2)
            [leader] = await asyncio.to_thread(lambda: [each for each in nodes if each.leads])
            await asyncio.to_thread(leader.kill)
            await told("drain", "-c", str(one.path), "c1")
            await drained(other, "c1")
            await in_fleet(one, lambda fleet: not any(order["here_only"] for order in fleet["orders"]))
            await in_fleet(other, lambda fleet: fleet["membership"] == "member")
