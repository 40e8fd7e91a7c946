"""Users who ask all the time, and backends that know what they were asked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, Self

from .backend import Lane, answer
from .client import Client

PAUSE = 0.01 if os.environ.get("LBPROXY_FULL") else 0.03
"""Seconds between two requests of a user: a crowd at full speed takes the CPU from the reload that it is there for."""


async def serve_posts(lane: Lane) -> None:
    """Answers all requests alike."""
    while await lane.request():
        await lane.send(answer(b"ok"))


class Crowd:
    """Users who ask all the time, on kept connections and on new ones; each request has a number of its own.

    `answered` has the targets that got their answer. For the length of a block, at whose end everybody finishes.
    """

    def __init__(self, connect: Callable[[], Awaitable[Client]], kept: int, new: int, name: str = "crowd") -> None:
        """kept, new: how many users of either kind. name: of requests, where there is more than one crowd."""
        self._connect = connect
        self._name = name
        self._stop = asyncio.Event()
        self._count = 0
        self._group = asyncio.TaskGroup()
        self._kept, self._new = kept, new
        self.answered: list[bytes] = []

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        for act, count in ((self._stay, self._kept), (self._come_and_go, self._new)):
            for _ in range(count):
                self._group.create_task(act())
        return self

    async def __aexit__(self, *error: Any) -> None:
        """Let everybody finish, unless the block failed; raises what went wrong for anybody."""
        self._stop.set()
        await self._group.__aexit__(*error)

    async def ask(self, client: Client) -> bool:
        """One request; whether the connection may be used again."""
        self._count += 1
        target = f"/{self._name}/{self._count}"
        response = await client.ask(target, "POST", body=b"x")
        assert response.status == 200
        self.answered.append(target.encode())
        return not response.closes

    async def _stay(self) -> None:
        while not self._stop.is_set():
            async with await self._connect() as client:
                while await self.ask(client) and not self._stop.is_set():  # noqa: ASYNC110
                    await asyncio.sleep(PAUSE)

    async def _come_and_go(self) -> None:
        while not self._stop.is_set():
            async with await self._connect() as client:
                await self.ask(client)
            await asyncio.sleep(PAUSE)
