from __future__ import annotations

import asyncio

from lbproxy.control.changes import Changes


async def test_all_that_wait_look_again_and_those_that_are_content_go_on() -> None:
    changes, count = Changes(), 0
    first = asyncio.ensure_future(changes.until(lambda: count >= 1))
    second = asyncio.ensure_future(changes.until(lambda: count >= 2))
    await asyncio.sleep(0)
    count = 1
    changes.tell()
    assert await first
    assert not second.done()
    count = 2
    changes.tell()
    assert await second


async def test_what_is_so_already_is_not_waited_for() -> None:
    assert await Changes().until(lambda: True, 0)


async def test_it_is_too_late() -> None:
    assert not await Changes().until(lambda: False, 0)


async def test_the_last_look_counts() -> None:
    """As when the state changes in the moment in which the time is over."""
    looks = iter([False, True])
    assert await Changes().until(lambda: next(looks), 0)
