from __future__ import annotations

import asyncio
import itertools

import pytest

from lbproxy.doctor.once import Once, in_thread


async def test_is_made_once_for_all() -> None:
    numbers = itertools.count()
    once = in_thread(lambda: next(numbers))
    assert [await once.get(), await once.get()] == [0, 0]
    assert next(numbers) == 1


async def test_all_get_what_it_raised() -> None:
    async def fail() -> None:
        raise OSError("down")

    once = Once(fail)
    for _ in range(2):
        with pytest.raises(OSError, match="down"):
            await once.get()


async def test_one_who_gives_up_leaves_it_to_the_others() -> None:
    answered = asyncio.Event()
    once = Once(answered.wait)
    waiting = asyncio.create_task(once.get())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(once.get(), 0.001)
    answered.set()
    assert await waiting
