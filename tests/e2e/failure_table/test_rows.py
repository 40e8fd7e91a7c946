"""Every row x every request x {fresh lane, reused lane}."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from ..client import Client
from ..message import Cut
from .case import CASES, Case
from .page import page
from .rows import Charge, Connect, Meanwhile, Row, Sees
from .stage import Stage, stage

COMMON: dict[str, Any] = {
    "retry_budget": "100%",
    "retry_statuses": [503],
    "consecutive_errors": 1000,
    "readmit_backoff": "0s",
    "idle_lane_timeout": "60s",
}
SETTINGS: dict[str, dict[str, Any]] = {
    # For rows that eject: who is out is back at once, for the next case.
    "returns": {
        "check": {"kind": "none", "interval": "50ms", "timeout": "50ms", "rise": 1},
        "connect_timeout": "200ms",
    },
    # For the others: there are no probes but those that a suspicion asks for.
    "asked": {"check": {"kind": "http", "path": "/healthz", "interval": "1h", "fall": 3}},
    # The same, for rows that take response_timeout. It is below check.timeout, so none is suspected for being slow.
    "impatient": {
        "check": {"kind": "http", "path": "/healthz", "interval": "1h", "fall": 3},
        "response_timeout": "300ms",
    },
}


def setting(row: Row) -> str:
    if row.charge is Charge.EJECTED:
        return "returns"
    return "impatient" if Sees.TIMEOUT in (row.replayable, row.others) else "asked"


Stages = Callable[[str], Awaitable[Stage]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stages() -> AsyncIterator[Stages]:
    """`await stages("asked")` is the one of that setting."""
    started: dict[str, Stage] = {}
    async with AsyncExitStack() as stack:

        async def start(name: str) -> Stage:
            if name not in started:
                started[name] = await stack.enter_async_context(stage(**COMMON, **SETTINGS[name]))
            return started[name]

        yield start


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_case(stages: Stages, case: Case) -> None:
    on = await stages(setting(case.row))
    try:
        async with await on.balancer.connect() as client:
            await on.set(case, client)
            before = await on.health()
            async with on.connecting(case.row.connect):
                await case.ask.send(client, case.target)
                await happens(case.row, on, client)
                await sees(case, on, client)
                await reaches(case, on)
                await charges(case.row.charge, on, before)
    finally:
        await on.settle()


async def happens(row: Row, on: Stage, client: Client) -> None:
    """What comes between a request and what the client sees of it."""
    if row.meanwhile is Meanwhile.NOTHING:
        return
    await on.first.until(lambda: on.first.complete)
    if row.meanwhile is Meanwhile.EJECTION:
        await on.eject_first()
    else:
        assert await client.read(len(row.said)) == row.said
        client.reset()


async def sees(case: Case, on: Stage, client: Client) -> None:
    """The client gets what it has to, byte by byte, and can go on with its connection unless that was cut."""
    if case.expected is Sees.LEFT:
        return
    if case.expected is Sees.CUT:
        assert await client.read(len(case.row.said)) == case.row.said
        on.first.go.set()
        with pytest.raises(Cut) as cut:
            await client.rest()
        assert not cut.value.clean
        return
    if case.expected is Sees.OWN:
        on.first.go.set()
    response = await client.response()
    assert response.raw + response.body == expected_answer(case, on)
    if case.is_the_last:
        assert await client.rest() == b""
    else:
        assert (await client.ask("/after")).status == 200


def expected_answer(case: Case, on: Stage) -> bytes:
    """With its head."""
    expected = {
        Sees.NEXT: on.members[1].answer,
        Sees.OWN: case.row.said or on.first.answer,
        Sees.BAD_GATEWAY: page(502, case.row.reason),
        Sees.TIMEOUT: page(504, case.row.reason),
    }[case.expected]
    return expected.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") if case.is_the_last else expected


async def reaches(case: Case, on: Stage) -> None:
    """Who gets the request gets it once, byte by byte; and no lane that failed is kept."""
    request = (case.ask.forwarded(case.target, on.port), case.ask.payload)
    first = [request] if case.row.connect is Connect.ACCEPTED else []
    second = [request] if case.expected is Sees.NEXT else []
    assert on.got() == [first, second, []]
    if case.expected is not Sees.OWN:
        await on.first.until(lambda: not on.first.open_lanes)


async def charges(charge: Charge, on: Stage, before: dict[str, Any]) -> None:
    """What it means for the first backend's health."""
    errors, ejections = {Charge.ERROR: (1, 0), Charge.EJECTED: (1, 1)}.get(charge, (0, 0))
    after = await on.health()
    assert (after["errors"] - before["errors"], after["ejections"] - before["ejections"]) == (errors, ejections)
    if charge is Charge.PROBE:
        await on.first.until(lambda: on.first.probes)
