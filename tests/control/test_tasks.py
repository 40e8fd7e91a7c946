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
