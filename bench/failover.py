"""What clients outside notice when the host with the address dies, and when it leaves.

    python -m bench.failover                       # five of each
    python -m bench.failover --rounds 20 --requests 50000

Two hosts with lbproxy and keepalived, as `lbproxy keepalived` sets it up, clients and backend on a third one: network
namespaces on this machine, so it needs root, and keepalived. They are those of tests/e2e/virtual_address.py.

death   the host's cable is pulled. A new connection begins every 10 ms. Told is how long none is answered, and how long
        the one that waits longest does.
leave   `lbproxy leave` on one host after the other, while clients come with a new connection for each request, and
        others keep theirs. Told is how many got no answer, and how long a new connection waited for its own.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.e2e.client import Client
from tests.e2e.virtual_address import ADDRESS, OTHER, PORT, Clients, Site, two_hosts

EVERY = 0.01  # seconds between two connections that begin
GIVES_UP = 10.0  # seconds that a client waits


async def death(site: Site) -> tuple[float, float]:
    """Seconds from the death until a connection that begins is answered at once, and the longest wait of any."""
    first = await site.owner()
    answers: list[tuple[float, float]] = []  # when each began, and when it was answered
    begun: set[asyncio.Task[None]] = set()

    async def come() -> None:
        begins = time.monotonic()
        async with asyncio.timeout(GIVES_UP), await site.connect() as client:
            await client.ask("/", "POST", body=b"x")
        answers.append((begins, time.monotonic()))

    site.switch.unplug(first.name)
    died = time.monotonic()
    second = asyncio.ensure_future(site.has_address(site.hosts[OTHER[first.name]]))
    while not second.done() or time.monotonic() < died + 1.5:
        begun.add(asyncio.ensure_future(come()))
        await asyncio.sleep(EVERY)
    await asyncio.gather(*begun)
    site.switch.plug(first.name)
    await site.owner()
    served = min(begins for begins, ends in answers if ends - begins < 0.2)
    return served - died, max(ends - begins for begins, ends in answers)


class Timed(Clients):
    """`waits`: seconds from the beginning of each new connection to its answer. `lost`: why there was none, counted."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.waits: list[float] = []
        self.lost: Counter[str] = Counter()

    async def _come_and_go(self) -> None:
        while not self._stop.is_set():
            begins = time.monotonic()
            try:
                async with asyncio.timeout(GIVES_UP), await Client.connect((ADDRESS, PORT)) as client:
                    await self.ask(client)
            except (OSError, TimeoutError) as error:
                self.lost[repr(error)] += 1
            self.waits.append(time.monotonic() - begins)


async def leave(site: Site, rounds: int, requests: int) -> str:
    """So many requests while one host after the other leaves."""
    took: list[float] = []
    # A client that closes first keeps its port for a minute: the usual 28,000 are too few.
    site.switch.hosts["out"].run("sysctl", "-q", "-w", "net.ipv4.ip_local_port_range=1024 65535")
    async with Timed(site) as clients:
        for number in range(rounds):
            await clients.more(max(requests * (number + 1) // (rounds + 1) - len(clients.answered), 0))
            first = await site.owner()
            begins = time.monotonic()
            status, _, error = await first.run("leave")
            assert status == 0, error
            took.append(time.monotonic() - begins)
            await first.run("leave", "--cancel")
            await first.keepalived.trusts()
        await clients.more(max(requests - len(clients.answered), 0))
    waits = sorted(clients.waits)
    lost, why = clients.lost.total(), f" {dict(clients.lost)}" if clients.lost else ""
    kept, resent = len(clients.answered) - len(waits) + lost, clients.resent
    return (
        f"leave: {len(waits)} new connections in {rounds} moves, {lost} lost{why}; the longest wait was"
        f" {waits[-1]:.2f} s, {sum(one > 0.5 for one in waits)} waited for more than 0.5 s\n"
        f"leave: {kept} requests on kept connections; {resent} met the end of theirs, and were sent again\n"
        f"leave: lbproxy leave took {min(took):.1f} to {max(took):.1f} s"
    )


async def measure(rounds: int, requests: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with two_hosts(Path(folder)) as site:
            for _ in range(rounds):
                outage, longest = await death(site)
                print(f"death: none was answered for {outage:.2f} s; the longest wait was {longest:.2f} s", flush=True)
            print(await leave(site, rounds, requests))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="deaths, and moves by leaving")
    parser.add_argument("--requests", type=int, default=5000, help="while hosts leave")
    options = parser.parse_args()
    asyncio.run(measure(options.rounds, options.requests))


if __name__ == "__main__":
    main()
