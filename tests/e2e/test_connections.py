"""Who is connected, asked of a balancer: with two workers, with thousands of clients; and one of them ended."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lbproxy.control.live_connections import DEFAULT_LIMIT
from lbproxy.dashboard.balancer import Balancer as Admin
from lbproxy.dashboard.pages import SHOWN
from lbproxy.net.transport.descriptor_budget import streams_allowed
from tests.dashboard.browsing import browsing

from .balancer import Balancer, command
from .conftest import Backends, Balance
from .crowd import Crowd, serve_posts
from .message import Cut
from .test_workers import clients_of_all


async def test_all_workers_clients_are_seen_and_one_is_ended(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(serve_posts), workers=2)
    where = ("-c", str(balancer.path))
    async with clients_of_all(balancer) as clients:
        code, out, err = await command("connections", *where, "--json")
        assert (code, err) == (0, "")
        found = json.loads(out)
        assert (found["open"], found["matched"], found["unanswered"]) == (len(clients), len(clients), 0)
        processes = {one["id"].partition("-")[0] for one in found["connections"]}
        assert processes == {str(pid) for pid in balancer.workers}
        first = found["connections"][0]
        code, out, _ = await command("kick", *where, first["id"])
        assert (code, out.startswith(f"ended: {first['id']} from {first['address']}")) == (0, True)
        code, out, _ = await command("connections", *where, "--limit", "1")
        assert f"{len(clients) - 1} connections; those open for longest 1 are shown" in out
        ended = 0
        for client in clients:
            try:
                assert (await client.ask()).status == 200
            except (Cut, ConnectionError):
                ended += 1
        assert ended == 1
        assert (await command("kick", *where, first["id"]))[0] == 1
        assert (await balancer.status())["ends"]["kicked"] == 1


MANY = min(10_000, streams_allowed() // 2 - 100) if os.environ.get("LBPROXY_FULL") else 1_000
"""A balancer accepts as many as half of its descriptors allow."""

LOOKS = 30
"""After a first one, which fills what is kept for good."""

MEGABYTE = 1 << 20
_RESET = struct.pack("ii", 1, 0)  # on close, so that no port stays in TIME_WAIT: SO_LINGER, socket(7)


@contextmanager
def idle_clients(address: tuple[str, int], count: int) -> Iterator[None]:
    """So many connections that ask nothing."""
    clients = []
    try:
        for _ in range(count):
            clients.append(socket.create_connection(address))
            clients[-1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        yield
    finally:
        for client in clients:
            client.close()


async def look(balancer: Balancer, admin: Admin) -> None:
    """Over the API, all that there are, in the largest answer that there is."""
    found = await admin.connections({"limit": str(MANY)})
    assert (len(found["connections"]), found["matched"] >= MANY) == (MANY, True)


async def test_thousands_are_listed_under_load(backends: Backends, balance: Balance) -> None:
    """What is shown is bounded, users are served meanwhile, and the memory that it takes comes back."""
    limits = {"max_connections": MANY + 100, "idle_timeout": "10m"}
    balancer = await balance(*await backends(serve_posts), listener=limits)
    admin = Admin(Path(balancer.config["admin"]["bind"].removeprefix("unix:")))
    with idle_clients(balancer.address, MANY):
        await balancer.until(lambda view: view["listeners"][0]["connections"] >= MANY)
        async with Crowd(balancer.connect, kept=2, new=1) as crowd:
            await look(balancer, admin)
            before, served = balancer.memory(), len(crowd.answered)
            for _ in range(LOOKS):
                await look(balancer, admin)
            assert balancer.memory() < before + 10 * MEGABYTE
            assert len(crowd.answered) > served
            code, out, _ = await command("connections", "-c", str(balancer.path))
            assert code == 0
            assert f"connections; those open for longest {DEFAULT_LIMIT} are shown" in out
            assert len(out.splitlines()) == DEFAULT_LIMIT + 2  # a line with headings, and one below them
            async with browsing(admin) as browser:
                browser.sign_in("olga", "operator")
                status, page = await browser.get("/connections")
                assert (status, page.count("/kick")) == (200, SHOWN)
                assert len(page) < MEGABYTE
    await admin.close()
    await balancer.until(lambda view: view["listeners"][0]["connections"] == 0)
