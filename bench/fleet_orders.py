"""How soon does an order that is given to one balancer of a fleet hold on all of them?

    python -m bench.fleet_orders                   # three balancers, one etcd, 200 orders
    python -m bench.fleet_orders --replicas 5 --orders 1000 --workers 2

Everything is on this machine. Each order is a drain, or its end, over the admin interface of the first balancer.
*Answered* is when that has answered, with the order in etcd; *everywhere* is when the status of every other balancer
has it. The others are asked in turn without a pause, so what is printed has the time of these questions in it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from lbproxy.control.admin.client import drain, fetch_instance, fetch_status, make_ready
from tests.e2e.balancer import running
from tests.e2e.configuration import configuration
from tests.etcd_server import node

BACKENDS = [("c1", "http://127.0.0.1:9"), ("c2", "http://127.0.0.1:10")]


def main() -> None:
    """Measure, and print milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lbp-") as folder, node(Path(folder)) as etcd:
        asyncio.run(_measure(Path(folder), etcd.url, options.replicas, options.orders, options.workers))


async def _measure(folder: Path, etcd: str, replicas: int, orders: int, workers: int) -> None:
    async with AsyncExitStack() as stack:
        sockets = []
        for number in range(1, replicas + 1):
            directory = folder / f"lb{number}"
            directory.mkdir()
            fleet = {"name": "bench", "replica": f"lb{number}", "etcd": [etcd]}
            config = configuration(directory, BACKENDS, fleet=fleet, workers=workers)
            await stack.enter_async_context(running(config, directory))
            sockets.append(directory / "admin.sock")
        await asyncio.to_thread(_until_known, sockets[0], replicas)
        answered, everywhere = await asyncio.to_thread(_give, sockets, orders)
    for name, times in (("answered", answered), ("everywhere", everywhere)):
        print(_line(name, times))


def _until_known(admin: Path, replicas: int) -> None:
    while (fleet := fetch_status(admin)["fleet"]) is None or len(fleet["replicas"]) < replicas:
        time.sleep(0.05)


def _give(sockets: Sequence[Path], orders: int) -> tuple[list[float], list[float]]:
    """Seconds from each order until it was answered, and until all the others had it."""
    first, *others = sockets
    answered, everywhere = [], []
    for number in range(orders):
        wanted = number % 2 == 0
        began = time.monotonic()
        if wanted:
            drain(first, "c1")
        else:
            make_ready(first, "c1")
        answered.append(time.monotonic() - began)
        for other in others:
            while fetch_instance(other, "c1")["backend"]["draining"] is not wanted:
                pass
        everywhere.append(time.monotonic() - began)
    return answered, everywhere


def _line(name: str, seconds: Sequence[float]) -> str:
    ordered = sorted(one * 1000 for one in seconds)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return f"{name:>10}  p50 {statistics.median(ordered):6.1f} ms  p99 {p99:6.1f} ms  max {ordered[-1]:6.1f} ms"


if __name__ == "__main__":
    main()
