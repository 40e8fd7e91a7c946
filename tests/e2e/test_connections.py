"""Who is connected, asked of a balancer with two workers, and one of them ended."""

from __future__ import annotations

import json

from .balancer import command
from .conftest import Backends, Balance
from .crowd import serve_posts
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
