"""A token reaches one connector, once, however many connectors die on the way (rule 6).

A second connector has a replay cache of its own and would accept the ticket: the request would run twice.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Sequence

from lbproxy.demo.journal import token_digest

from ..balancer import Balancer
from ..client import Client
from ..message import Cut
from ..progress import Progress
from ..reaper import Reaper
from .conftest import Fleet, Front, Tell
from .person import Person
from .place import Place
from .sample import arrivals

KILLS, CLIENTS = (50, 24) if os.environ.get("LBPROXY_FULL") else (5, 12)
WORK = "100"
"""Milliseconds that a connector works on a request: when it dies it has several in hand."""

BETWEEN_KILLS = 30
"""Answered tokens."""

REQUESTS: tuple[tuple[str, bytes | None], ...] = (("GET", None), ("HEAD", None), ("POST", b"wa=wsignin1.0"))
"""Without a token the first two could be sent again."""


class Load:
    """Clients that sign in anew with each request; `sent` has each token's digest and how it was answered."""

    def __init__(self, balancer: Balancer, people: Sequence[Person]) -> None:
        self.sent: dict[str, int | None] = {}
        self._stopped = False
        self._answered = 0
        self._progress = Progress()
        self._balancer = balancer
        self._tasks = [asyncio.create_task(self._run(person, number)) for number, person in enumerate(people)]

    async def until_answered(self, count: int) -> None:
        """Wait until so many more tokens are answered."""
        enough = self._answered + count
        await self._progress.until(lambda: self._answered >= enough, 60)

    async def stop(self) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)

    async def _run(self, person: Person, number: int) -> None:
        while not self._stopped:
            async with await self._balancer.connect() as client:
                while not self._stopped and await self._ask(client, person, number):
                    number += 1

    async def _ask(self, client: Client, person: Person, number: int) -> bool:
        """One token; whether the connection goes on."""
        line = person.login().line
        digest = token_digest(line.partition(": ")[2])
        assert digest
        method, body = REQUESTS[number % len(REQUESTS)]
        self.sent[digest] = None
        try:
            response = await client.ask("/wsfed", method, line, body=body)
        except (Cut, ConnectionError):
            return False
        self.sent[digest] = response.status
        self._answered += response.status == 200
        self._progress.happened()
        return not response.closes


async def test_no_token_arrives_twice(
    fleet: Fleet, front: Front, place: Place, people: list[Person], tell: Tell
) -> None:
    members = await fleet("sample", "--binds", "--work-ms", WORK)
    balancer = await front(members)
    load = Load(balancer, people[:CLIENTS])
    reaper = Reaper(balancer, members)
    for _ in range(KILLS):
        await load.until_answered(BETWEEN_KILLS)
        await reaper.strike()
    await load.stop()
    arrived = arrivals(members, place)
    assert {digest: count for digest, count in arrived.items() if count > 1} == {}
    assert set(arrived) <= set(load.sent)
    assert {digest for digest, status in load.sent.items() if status == 200} <= set(arrived)
    in_hand = [digest for digest in arrived if load.sent[digest] != 200]
    assert len(in_hand) > KILLS  # they were with a connector that died, and could have been sent again
    statuses = dict(Counter(load.sent.values()))
    tell(f"{len(arrived)} tokens arrived, none twice; {KILLS} kills caught {len(in_hand)} at work; answers: {statuses}")
