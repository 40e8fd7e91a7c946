from __future__ import annotations

import asyncio
import math

from lbproxy.balance.member import Member
from lbproxy.control.discovery.source import Answer, Source


class Still(Source):
    name, where = "still", "nowhere"

    async def look(self, again: bool = False) -> Answer:
        return Answer((Member("a", "http://a:1"),))


async def test_the_simplest_source_is_asked_and_waited_for() -> None:
    source = Still()
    await source.start()
    answer = await source.look()
    assert (answer.good_for, answer.left_out) == (math.inf, ())
    waiting = asyncio.create_task(source.wait(3600.0))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    await source.wait(0.0)
    await source.stop()
