"""Waits that end: a test whose replica never hears of something says so, and does not hang the suite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.e2e.progress import DEADLINE


@asynccontextmanager
async def within(what: str) -> AsyncIterator[None]:
    """A block that is over before `DEADLINE`. Raises AssertionError, which names `what` was waited for."""
    try:
        async with asyncio.timeout(DEADLINE) as deadline:
            yield
    except TimeoutError:
        if not deadline.expired():
            raise
        raise AssertionError(f"not within {DEADLINE:g} s: {what}") from None


async def until(condition: Callable[[], object], what: str) -> None:
    """Look again and again until `condition()` is true; `what` says in words what that means."""
    async with within(what):
        while not condition():  # noqa: ASYNC110 # as a scrape would look: it has no event for it
            await asyncio.sleep(0.005)
