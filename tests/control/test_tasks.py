from __future__ import annotations

import asyncio

import pytest

from lbproxy.control import tasks


async def test_an_unexpected_end_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("of all things")

    task = tasks.start(fail(), name="doomed")
    with pytest.raises(ValueError, match="of all things"):
        await task
    [record] = caplog.records
    assert (record.message, record.__dict__["fields"]) == ("task_failed", {"task": "doomed"})
    assert record.exc_info
    assert "of all things" in str(record.exc_info[1])


async def test_a_cancelled_or_finished_task_is_nothing_to_tell(caplog: pytest.LogCaptureFixture) -> None:
    task = tasks.start(asyncio.sleep(0), name="short")
    await task
    endless = tasks.start(_for_ever(), name="endless")
    await asyncio.sleep(0)
    endless.cancel()
    await asyncio.gather(endless, return_exceptions=True)
    assert not caplog.records


async def _for_ever() -> None:
    await asyncio.Event().wait()


async def test_stopped_tasks_have_ended_and_one_that_never_began_is_none() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await _for_ever()
        finally:
            await asyncio.sleep(0)  # as one that says goodbye
            ended.append("worked")

    async def fail() -> None:
        raise OSError("not worth to be told again")

    working, failed = tasks.start(work(), name="working"), asyncio.ensure_future(fail())
    await asyncio.sleep(0)
    await tasks.stop(working, None, failed)
    assert ended == ["worked"]
    assert working.cancelled()


async def test_an_event_is_waited_for_or_it_is_too_late() -> None:
    event = asyncio.Event()
    assert not await tasks.wait_for(event, 0)
    waiting = asyncio.ensure_future(tasks.wait_for(event, None))
    await asyncio.sleep(0)
    event.set()
    assert await waiting
    assert await tasks.wait_for(event, -1), "it is set already"


async def test_the_first_that_ends_cancels_the_others() -> None:
    late = asyncio.ensure_future(_for_ever())
    await tasks.first(asyncio.sleep(0), late)
    await asyncio.gather(late, return_exceptions=True)
    assert late.cancelled()
    in_time = asyncio.ensure_future(_for_ever())
    await tasks.first(in_time, within=0)
    await asyncio.gather(in_time, return_exceptions=True)
    assert in_time.cancelled()
