"""How a backend goes on with the request of a case, once it has read all of it and said what the row says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ..backend import Lane, answer

Then = Callable[[Lane, asyncio.Event], Awaitable[bool]]
"""True when the lane may serve the next request, else it is closed. The event: the client has seen what was said."""


async def serves_on(_: Lane, __: asyncio.Event) -> bool:
    return True


async def holds(lane: Lane, _: asyncio.Event) -> bool:
    """It is for the balancer to end the lane, and it sends nothing more on it."""
    assert await lane.until_closed() == b""
    return False


async def closes(lane: Lane, go: asyncio.Event) -> bool:
    lane.half_close()
    return await holds(lane, go)


async def resets(lane: Lane, _: asyncio.Event) -> bool:
    lane.reset()
    return False


async def breaks_framing(lane: Lane, go: asyncio.Event) -> bool:
    """Of chunks."""
    await lane.send(b"x\r\n")
    return await holds(lane, go)


def when_seen(then: Then) -> Then:
    """Not before the client has seen what was said: a reset may overtake it."""

    async def later(lane: Lane, go: asyncio.Event) -> bool:
        await go.wait()
        return await then(lane, go)

    return later


async def waits(lane: Lane, go: asyncio.Event) -> bool:
    """Answers well when it is told to, unless the balancer takes the request away before."""
    told, taken = asyncio.ensure_future(go.wait()), asyncio.ensure_future(lane.until_closed())
    done, rest = await asyncio.wait({told, taken}, return_when=asyncio.FIRST_COMPLETED)
    for other in rest:
        other.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    if taken in done:
        assert taken.result() == b""
        return False
    await lane.send(answer(lane.backend.name.encode()))
    return True
