from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack

from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Rules
from lbproxy.balance.pool import Pool
from lbproxy.control.log import event
from lbproxy.process.generation.lately import Lately
from lbproxy.status.windows import Windows

log = logging.getLogger(__name__)


async def test_notes_until_the_generation_ends() -> None:
    pools = {"p": Pool("p", [Backend("c1", "http://c1:80")], Rules(), "refuse")}
    lately = Lately(pools, Windows(pools, lambda *_: {}), lambda *_: {}, None)
    ticks: list[Callable[[float], None]] = []
    async with AsyncExitStack() as stack:
        lately.start(stack, ticks)
        event(log, logging.WARNING, "tried")
        for now in (0.0, 61.0):
            for tick in ticks:
                tick(now)
        assert (await lately.events_after(0, 0.0))["last"] == 1
        assert [*lately.last_hour("p", "c1")["backends"]] == ["p/c1"]
    event(log, logging.WARNING, "too late")
    assert (await lately.events_after(1, 0.0))["events"] == []
