"""How the control plane starts a background task, ends it, and lets it wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import Any

log = logging.getLogger(__name__)


def start(coroutine: Coroutine[object, object, None], *, name: str) -> asyncio.Task[None]:
    """Run `coroutine` as a task whose unexpected end is logged at once, not when the task is collected.

    The caller keeps the task: the event loop holds no strong reference to it.
    """
    task = asyncio.create_task(coroutine, name=name)
    task.add_done_callback(_report)
    return task


async def stop(*running: asyncio.Future[Any] | None) -> None:
    """Cancel them, and return when all have ended, however they did. None stands for one that never began."""
    begun = [one for one in running if one is not None]
    for one in begun:
        one.cancel()
    await asyncio.gather(*begun, return_exceptions=True)


async def wait_for(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait until `event` is set, `seconds` at the most, None: as long as it takes. Returns whether it is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


async def first(*awaited: Awaitable[object], within: float | None = None) -> None:
    """Wait for the first of them, `within` seconds at the most, and cancel the others."""
    waits = [asyncio.ensure_future(one) for one in awaited]
    try:
        await asyncio.wait(waits, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()


def _report(task: asyncio.Task[None]) -> None:
    if task.cancelled():
        return
    if error := task.exception():
        log.error("task_failed", extra={"fields": {"task": task.get_name()}}, exc_info=error)
