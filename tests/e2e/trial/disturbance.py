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
        await balancer.logged("generation_serves", f"generation={generation} ")
