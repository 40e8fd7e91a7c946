"""Members join and leave all the time, over the admin interface, while users ask: nothing is lost or left behind.

LBPROXY_FULL=1: a minute, 1,000 names and more users.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path

import pytest

from .balancer import Balancer
from .client import Client
from .conftest import Backends, Balance
from .crowd import Crowd, serve_posts
from .reloads import comes_true

FULL = bool(os.environ.get("LBPROXY_FULL"))
CHANGES = 3000 if FULL else 200
NAMES = 1000 if FULL else 100
USERS = 25 if FULL else 8
"""Of each kind: on kept connections and on new ones."""


class Churn:
    """Puts and deletes `NAMES` members at random, each at one of `urls`."""

    def __init__(self, balancer: Balancer, urls: list[str], seed: int) -> None:
        self.path = balancer.config["admin"]["bind"].removeprefix("unix:")
        self.urls = urls
        self.random = random.Random(seed)
        self.members: set[str] = set()

    async def __call__(self, changes: int) -> None:
        async with Client(*await asyncio.open_unix_connection(self.path)) as client:
            for _ in range(changes):
                await self._change(client, f"m{self.random.randrange(NAMES)}")
            for name in sorted(self.members):
                await self._order(client, "DELETE", name)

    async def _change(self, client: Client, name: str) -> None:
        if name in self.members:
            await self._order(client, "DELETE", name)
            self.members.discard(name)
        else:
            weight = self.random.choice((1, 1, 1, 2))
            await self._order(client, "PUT", name, {"url": self.random.choice(self.urls), "weight": weight})
            self.members.add(name)

    async def _order(self, client: Client, method: str, name: str, body: dict[str, object] | None = None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} /backends/connectors/{name} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        await client.send(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
        response = await client.response()
        assert response.status in (200, 201), response


def descriptors(balancer: Balancer) -> list[int]:
    """Of the generation and of each worker."""
    return [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in (balancer.pid, *balancer.workers)]


@pytest.mark.parametrize("workers", [1, 2])
async def test_nothing_is_lost_while_members_come_and_go(backends: Backends, balance: Balance, workers: int) -> None:
    stays, *others = await backends(*[serve_posts] * 4)
    balancer = await balance(stays, workers=workers, drain_timeout="5s")
    churn = Churn(balancer, [f"http://127.0.0.1:{one.port}" for one in others], seed := random.randrange(1 << 30))
    print(f"seed {seed}")
    await Churn(balancer, churn.urls, seed)(20)
    before = descriptors(balancer)
    async with Crowd(balancer.connect, USERS, USERS) as crowd:
        await churn(CHANGES)
    assert sum(len(one.complete) for one in (stays, *others)) >= len(crowd.answered)
    snapshot = await balancer.until(lambda seen: seen["listeners"][0]["connections"] == 0)
    [backend] = snapshot["pools"][0]["backends"]
    assert (backend["name"], backend["active"], backend["in_rotation"]) == (stays.name, 0, True)
    assert {one.complete[-1].target for one in others if one.complete} <= set(crowd.answered)
    await comes_true(lambda: all(now <= once + 1 for now, once in zip(descriptors(balancer), before, strict=True)))
    print(f"{len(crowd.answered)} requests, {CHANGES} changes, seed {seed}")
