"""The one way in which the control plane starts a background task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine

log = logging.getLogger(__name__)


def start(coroutine: Coroutine[object, object, None], *, name: str) -> asyncio.Task[None]:
    """Run `coroutine` as a task whose unexpected end is logged at once, not when the task is collected.

    The caller keeps the task: the event loop holds no strong reference to it.
    """
    task = asyncio.create_task(coroutine, name=name)
    task.add_done_callback(_report)
    return task


def _report(task: asyncio.Task[None]) -> None:
    if task.cancelled():
        return
    if error := task.exception():
        log.error("task_failed", extra={"fields": {"task": task.get_name()}}, exc_info=error)
