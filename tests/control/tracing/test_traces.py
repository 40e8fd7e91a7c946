from __future__ import annotations

import asyncio

from lbproxy.control.tracing.traces import AT_ONCE, LIMIT, Traces
from lbproxy.record import Trace
from tests.control.tracing.samples import made


async def test_they_are_handed_over_together_and_soon() -> None:
    traces, given = Traces(), asyncio.Queue[list[Trace]]()

    def take(some: list[Trace]) -> bool:
        given.put_nowait(some)
        return True

    traces.hand_over = take
    for number in range(AT_ONCE + 1):
        traces.put(made(status=number))
    first, second = await given.get(), await given.get()
    assert [trace.status for trace in (*first, *second)] == list(range(AT_ONCE + 1))
    assert traces.counted() == {"sampled": AT_ONCE + 1, "exported": 0, "dropped": 0}


async def test_a_taker_that_is_behind_is_asked_again() -> None:
    traces, asked, given = Traces(), asyncio.Event(), asyncio.Queue[list[Trace]]()

    def take(some: list[Trace]) -> bool:
        if asked.is_set():
            given.put_nowait(some)
        was = asked.is_set()
        asked.set()
        return was

    traces.hand_over = take
    traces.put(made())
    assert await given.get() == [made()]
    assert traces.dropped == 0


async def test_what_nobody_takes_is_bounded_and_counted() -> None:
    traces = Traces()
    for _ in range(LIMIT + 3):
        traces.put(made())
    assert (traces.sampled, traces.dropped) == (LIMIT + 3, 3)
    traces.stop()
    assert traces.dropped == LIMIT + 3


async def test_the_last_ones_are_handed_over_at_the_end() -> None:
    traces, given = Traces(), list[Trace]()
    traces.hand_over = lambda some: given.extend(some) or True  # type: ignore[func-returns-value]
    traces.put(made())
    traces.stop()
    assert given == [made()]
    assert traces.dropped == 0
