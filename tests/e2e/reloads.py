"""Reloads of a balancer, waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from signal import SIGHUP
from typing import Any

from .balancer import Balancer
from .configuration import toml
from .progress import DEADLINE


async def rewrite(balancer: Balancer, **top: Any) -> None:
    """Change the balancer's file."""
    balancer.config = {**balancer.config, **top}
    balancer.path.write_text(toml(balancer.config))


async def reload(balancer: Balancer) -> None:
    """HUP, and wait until the next generation serves and the last one is gone."""
    [old] = balancer.generations
    balancer.signal(SIGHUP)
    await changed(balancer, old)


async def changed(balancer: Balancer, old: int) -> None:
    """The generation `old` is gone, and another one serves."""
    await comes_true(lambda: old not in balancer.generations and len(balancer.generations) == 1)


async def comes_true(condition: Callable[[], bool]) -> None:
    """Of processes and files there are no events to wait for."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
