"""A trial of several modes at once, for so many seconds, or until there were so many requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..balancer import Balancer, running
from ..message import Cut
from ..progress import DEADLINE
from ..reloads import comes_true
from .checks import Client
from .client import Answers, Visitor
from .disturbance import disturb
from .modes import KINDS, Mode, Site
from .script import Visit, visits

CROWD = 60
"""Clients at a time, in each mode."""

PATIENCE = 180
"""Looks at a client that waits for one thing, after which it waits for ever: far above every timeout of the balancer.

They are half a second apart, and between two of them lbproxy has answered something else. So a machine that gives it no
time takes none of the client's patience.
"""

STUCK = 240.0
"""Seconds without any answer of lbproxy, after which it is not the machine that gives it no time."""


@dataclass(frozen=True)
class Plan:
    """modes: their names. The trial ends after `seconds`, if `requests` have ended by then."""

    seed: int
    seconds: float
    requests: int = 0
    modes: tuple[str, ...] = tuple(kind.name for kind in KINDS)


class Crowd:
    """The clients of one mode: as soon as one leaves, the next one comes."""

    def __init__(self, mode: Mode, seed: int) -> None:
        self._mode = mode
        self._visits: Iterator[Visit] = visits(seed)
        self._people = mode.people()
        self._here: set[Answers] = set()
        self.stopped = False

    async def run(self) -> None:
        """Until `stopped`, and everybody has gone."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CROWD):
                group.create_task(self._come_and_go())

    async def _come_and_go(self) -> None:
        while not self.stopped:
            visit = next(self._visits)
            name = next(self._people) if visit.shows_certificate and self._mode.kind.mint else None
            answers = Answers(self._mode.ledger, Client(visit.number, name))
            self._here.add(answers)
            await Visitor(visit, answers).play(self._mode.address, self._mode.contexts[name])
            self._here.discard(answers)

    def look(self) -> None:
        """Whether somebody waits for ever."""
        for answers in tuple(self._here):
            if answers.looks is None:
                continue
            answers.looks += 1
            if answers.looks > PATIENCE:
                waits = ", ".join(str(request) for request in answers.awaited) or "the end of its connection"
                self._mode.ledger.broken(f"client {answers.client.number} waits for ever: for {waits}")
                answers.transport.abort()


async def run(plan: Plan, directory: Path) -> list[Mode]:
    """The modes, whose ledgers tell how it went."""
    site = Site(directory)
    modes = [await site.mode(kind, plan.seed) for kind in KINDS if kind.name in plan.modes]
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    try:
        async with running(site.configuration(modes), directory) as balancer:
            await _with_crowds(plan, modes, balancer)
            await _nothing_is_left(modes, balancer)
            _is_clean(modes, balancer)
    except AssertionError as error:
        modes[0].ledger.broken(f"the balancer did not end well: {error}")
    for mode in modes:
        for server in mode.servers:
            server.close()
    for fault in faults:
        if not isinstance(fault.get("exception"), OSError):  # handshakes that a probe broke off
            modes[0].ledger.broken(f"the trial itself: {fault}")
    return modes


async def _with_crowds(plan: Plan, modes: list[Mode], balancer: Balancer) -> None:
    crowds = [Crowd(mode, plan.seed) for mode in modes]
    operator = asyncio.create_task(disturb(balancer, modes, plan.seed))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(crowd.run()) for crowd in crowds]
        until = time.monotonic() + plan.seconds
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.5)
            await _answers(balancer)
            for crowd in crowds:
                crowd.look()
            enough = time.monotonic() > until and sum(mode.ledger.requests for mode in modes) >= plan.requests
            if enough or operator.done() or sum(len(mode.ledger.wrong) for mode in modes) > 100:
                for crowd in crowds:
                    crowd.stopped = True
    operator.cancel()
    with suppress(asyncio.CancelledError):
        await operator


async def _answers(balancer: Balancer) -> None:
    """Wait until lbproxy has answered a question. In the middle of a reload it may close without an answer."""
    async with asyncio.timeout(STUCK):
        while True:
            with suppress(OSError, Cut):
                await balancer.status()
                return
            await asyncio.sleep(0.1)


async def _nothing_is_left(modes: list[Mode], balancer: Balancer) -> None:
    """Everybody has gone: one generation, no request, no connection, no private lane. A drain is not held up."""
    await comes_true(lambda: len(balancer.generations) == 1)
    left: list[str] = []
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until:
        snapshot = await balancer.status()
        left = [
            f"{backend['name']} has {backend['active']} active, {backend['private_lanes']} private"
            for pool in snapshot["pools"]
            for backend in pool["backends"]
            if backend["active"] or backend["private_lanes"] or backend["tunnels"]
        ]
        left += [
            f"{each['name']} has {each['connections']} connections"
            for each in snapshot["listeners"]
            if each["connections"]
        ]
        if not left:
            return
        await asyncio.sleep(0.1)
    for what in left:
        modes[0].ledger.broken(what)


def _is_clean(modes: list[Mode], balancer: Balancer) -> None:
    for mode in modes:
        for tried in mode.ledger.open.values():
            mode.ledger.broken(f"{tried.request} has no end")
    for line in balancer.log:
        if "connections_cut" in line or "fault" in line.split():
            modes[0].ledger.broken(line)
