"""The row of the table in which every backend is out of rotation."""

from __future__ import annotations

from typing import Any

from .ask import ASKS
from .case import Case
from .faults import closes
from .page import page
from .rows import Charge, Row, Sees
from .stage import stage

ALL_DOWN: dict[str, Any] = {
    "check": {"kind": "http", "path": "/healthz", "expect": [204], "interval": "100ms", "timeout": "100ms"},
    "retry_budget": "100%",
}
"""Each backend answers its probes, but never so."""


async def test_refused_at_once() -> None:
    async with stage(**ALL_DOWN, when_all_down="refuse") as on:
        for ask in ASKS:
            async with await on.balancer.connect() as client:
                await ask.send(client, "/case")
                response = await client.response()
                # A body that goes nowhere is not waited for.
                assert response.raw + response.body == page(
                    503, "no_backend", retry_after=1, closes=ask.body != "no body"
                )
        assert on.got() == [[], [], []]
        await on.balancer.accessed(len(ASKS), reason="no_backend", tries=0)


async def test_tried_once_each_where_connections_are_refused() -> None:
    async with stage(**ALL_DOWN, when_all_down="try") as on:
        for member in on.members:
            member.refuse()
        for ask in ASKS:
            async with await on.balancer.connect() as client:
                await ask.send(client, "/case")
                response = await client.response()
                assert response.raw + response.body == page(
                    503, "no_backend", retry_after=1, closes=ask.body != "no body"
                )
        await on.balancer.accessed(len(ASKS), reason="no_backend", tries=3)


async def test_served_by_the_first_that_can() -> None:
    """The probes were wrong."""
    async with stage(**ALL_DOWN, when_all_down="try") as on:
        for ask in ASKS:
            async with await on.balancer.connect() as client:
                await ask.send(client, "/case")
                assert (await client.response()).status == 200
        assert sum(len(got) for got in on.got()) == len(ASKS)
        assert await on.balancer.accessed(len(ASKS), reason="done", tries=1) == on.balancer.access


async def test_tried_once_each_where_lanes_are_closed() -> None:
    """What may not be repeated is sent to one of them. Two retries for a request take a budget from requests before."""
    row = Row("closes", Sees.BAD_GATEWAY, Sees.BAD_GATEWAY, Charge.NOTHING, "", b"", closes)
    async with stage(**ALL_DOWN, when_all_down="try") as on:
        for _ in ASKS:
            assert (await on.balancer.ask("/before")).status == 200
        await on.balancer.until(lambda now: now["pools"][0]["retry_budget"]["limit"] >= len(ASKS))
        for case in (Case(row, ask, "fresh") for ask in ASKS):
            for member in on.members:
                member.begin(case)
            async with await on.balancer.connect() as client:
                await case.ask.send(client, case.target)
                response = await client.response()
            everybody = case.ask.is_replayable
            assert response.raw + response.body == (
                page(503, "no_backend", retry_after=1) if everybody else page(502, "lane_lost")
            )
            request = (case.ask.forwarded(case.target, on.port), case.ask.payload)
            assert sorted(on.got()) == ([[request]] * 3 if everybody else [[], [], [request]])
            [record] = await on.balancer.accessed(target=case.target)
            assert (record["reason"], record["tries"]) == (("no_backend", 3) if everybody else ("lane_lost", 1))
