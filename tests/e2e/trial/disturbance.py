"""What an operator does in the middle of a trial: reloads, and drains."""

from __future__ import annotations

import asyncio
import random
from signal import SIGHUP

from ..balancer import Balancer
from .modes import Mode

PAUSE = 1.0
"""Seconds between two things that an operator does."""


async def disturb(balancer: Balancer, modes: list[Mode], seed: int) -> None:
    """Until cancelled, in turn: drain a backend of each mode, make it ready again, reload."""
    dice = random.Random(seed)
    generation = 1
    while True:
        names = [dice.choice(mode.urls)[0] for mode in modes]
        for deed in ("drain", "ready"):
            await asyncio.sleep(PAUSE)
            for name in names:
                answer = await balancer.admin(f"/backends/{name}/{deed}", "POST")
                assert answer.status in (200, 409), answer  # 409: it is the last one in rotation
        await asyncio.sleep(PAUSE)
        generation += 1
        balancer.signal(SIGHUP)
        # A busy machine may take long, and that is no fault.
        while not (line := _outcome(balancer, generation)):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        assert "generation_serves" in line, line


def _outcome(balancer: Balancer, generation: int) -> str:
    """What the log says of the reload that starts this generation; nothing yet: ""."""
    lines = [line for line in balancer.log if f" generation={generation} " in line]
    return next((line for line in lines if "generation_serves" in line or "reload_failed" in line), "")
