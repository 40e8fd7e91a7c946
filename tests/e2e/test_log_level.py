"""The log level changes in all processes while lbproxy runs."""

from __future__ import annotations

import asyncio

import pytest

from .backend import Lane, serve
from .conftest import Backends, Balance
from .progress import DEADLINE


@pytest.mark.parametrize("workers", [1, 2])
async def test_debug_shows_attempts_until_a_reload(backends: Backends, balance: Balance, workers: int) -> None:
    async def closes(lane: Lane) -> None:
        await lane.request()

    bad, good = await backends(closes, serve)
    balancer = await balance(bad, good, workers=workers)
    assert (await balancer.admin("/log-level?level=debug&seconds=600", "POST")).status == 200
    async with asyncio.timeout(DEADLINE):
        while not any(" DEBUG attempt_failed backend=c1" in line for line in balancer.log):
            assert (await balancer.ask()).status == 200
    assert (await balancer.status())["log"]["level"] == "debug"
    assert any(" WARNING log_level_changed level=debug before=info" in line for line in balancer.log)
    assert (await balancer.admin("/reload", "POST")).status == 200
    # The generation of before may take one more connection, and is told to forget it when the next one serves.
    await balancer.until(lambda now: now["log"] == {"level": "info", "until": None})
    assert (await balancer.admin("/log-level?level=loud", "POST")).status == 400
