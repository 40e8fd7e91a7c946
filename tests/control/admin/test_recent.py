"""The routes of what happened lately, with the real ring of events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from lbproxy.control.admin.recent import HistoryView, recent_routes
from lbproxy.control.log import event
from lbproxy.control.log.recent import EventsView, RecentEvents
from tests.control.admin.serving import Client, serving


class NothingRecent:
    """No event is logged, and no backend is known; `asked` is what the history was asked for."""

    def __init__(self) -> None:
        self.ring = RecentEvents()
        self.asked: list[tuple[str, str]] = []

    async def events_after(self, number: int, within: float) -> EventsView:
        return await self.ring.wait(number, within)

    def last_hour(self, pool: str = "", backend: str = "") -> HistoryView:
        self.asked.append((pool, backend))
        return {"every_seconds": 60.0, "backends": {}}


@pytest.fixture
def recent() -> NothingRecent:
    return NothingRecent()


@pytest.fixture
async def client(recent: NothingRecent) -> AsyncIterator[Client]:
    async with serving(recent_routes(recent)) as client:
        yield client


async def test_an_answer_waits_for_an_event(client: Client, recent: NothingRecent) -> None:
    log = logging.Logger("test")
    log.addHandler(recent.ring)
    asked = asyncio.ensure_future(client.get("/events?after=0&wait=60"))
    while not recent.ring.waiting:  # noqa: ASYNC110  (it has no event for that, and needs none)
        await asyncio.sleep(0)
    event(log, logging.INFO, "backend_ejected", backend="c1", age=None)
    found = await (await asked).json()
    assert [(one["name"], one["fields"]) for one in found["events"]] == [("backend_ejected", {"backend": "c1"})]


async def test_without_waiting_there_is_none(client: Client) -> None:
    assert await (await client.get("/events")).json() == {"last": 0, "events": []}


@pytest.mark.parametrize("query", ["after=-1", "after=x", "wait=61", "wait=1.5", "after=" + "9" * 16])
async def test_a_parameter_that_is_wrong_is_named(client: Client, query: str) -> None:
    answer = await client.get(f"/events?{query}")
    assert answer.status == 400
    assert (await answer.text()).startswith(f"{query.partition('=')[0]}: not a whole number from 0 to ")


async def test_the_history_is_that_of_a_pool_or_a_backend(client: Client, recent: NothingRecent) -> None:
    assert (await (await client.get("/history")).json())["every_seconds"] == 60.0
    await client.get("/history?pool=p&backend=c1")
    assert recent.asked == [("", ""), ("p", "c1")]
