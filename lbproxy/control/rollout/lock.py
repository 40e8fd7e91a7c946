"""A rollout that has its pools to itself, in a fleet in all of it: the pools that it takes instances out of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from lbproxy.control import tasks
from lbproxy.control.fleet.views import CANCELLED, LOCK_HOLDS, ONE_AT_A_TIME
from lbproxy.control.rollout.runner import Rollout, Step
from lbproxy.errors import AdminError, RolloutError

RENEW_EVERY = 2.0
"""Seconds between two renewals of a lock."""

LOST_AFTER = LOCK_HOLDS - 5.0
"""Seconds without a renewal after which a rollout stops: before the lock ends, and another one may begin."""


class Lock(Protocol):
    """The lock of one pool, through the balancer. Every method raises AdminError."""

    def begin(self, progress: dict[str, Any]) -> str:
        """Take it; returns the ticket."""
        ...

    def renew(self, ticket: str, progress: dict[str, Any]) -> str:
        """Keep it; returns the ticket from now on."""
        ...

    def end(self, ticket: str, done: bool) -> None:
        """Give it back."""
        ...


async def run_alone(
    rollout: Rollout, locks: Mapping[str, Lock], every: float = RENEW_EVERY, patience: float = LOST_AFTER
) -> None:
    """`rollout.run` with all of `locks`, which are by their pool.

    Raises RolloutError, also if one is lost, and AdminError if one cannot be had. All are given back in the end. When
    one is lost, a command that runs may end; nothing is done after it.
    """
    held: dict[str, _Renewal] = {}
    began = False
    try:
        for pool in sorted(locks):  # of two rollouts that want the same ones, one gets them all
            ticket = await asyncio.to_thread(locks[pool].begin, progress(rollout))
            held[pool] = _Renewal(locks[pool], ticket, lambda: progress(rollout), every, patience)
        began = True
        await _run(rollout, [*held.values()])
    finally:
        unfinished = began and len(rollout.updated) < len(rollout.targets)
        for pool, renewal in held.items():  # how to go on is said of the pool that is rolled out
            with suppress(AdminError):
                await asyncio.to_thread(renewal.end, not (unfinished and pool == rollout.targets[0].pool))


async def _run(rollout: Rollout, renewals: Sequence[_Renewal]) -> None:
    running = asyncio.ensure_future(rollout.run())
    renewing = [asyncio.ensure_future(one.run()) for one in renewals]
    try:
        await asyncio.wait([running, *renewing], return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            lost = next(one.result() for one in renewing if one.done())
            if lost.startswith(CANCELLED):  # which ends the command, too
                raise RolloutError(f"{lost}\n{rollout.left()}")
            rollout.stop(lost)
        await running
    finally:
        await tasks.stop(running, *renewing)


def progress(rollout: Rollout) -> dict[str, Any]:
    """How far it has come, for the others."""
    done = len(rollout.updated)
    target = rollout.targets[done].name if done < len(rollout.targets) else ""
    step = "" if rollout.step is Step.UNTOUCHED else rollout.step.value
    return {"target": target, "step": step, "updated": [one.name for one in rollout.updated]}


class _Renewal:
    def __init__(
        self, lock: Lock, ticket: str, told: Callable[[], dict[str, Any]], every: float, patience: float
    ) -> None:
        self._ticket = ticket
        self._lock = lock
        self._told = told
        self._every = every
        self._patience = patience

    async def run(self) -> str:
        """Renew it until that fails for too long; returns why."""
        clock = asyncio.get_running_loop().time
        renewed, why = clock(), ""
        while not why.endswith(ONE_AT_A_TIME) and clock() < renewed + self._patience:
            await asyncio.sleep(self._every)
            asked = clock()
            try:
                async with asyncio.timeout_at(renewed + self._patience):
                    self._ticket = await asyncio.to_thread(self._lock.renew, self._ticket, self._told())
                renewed, why = asked, ""
            except AdminError as error:
                why = str(error)
                if why.startswith(CANCELLED):
                    return why
            except TimeoutError:
                why = why or "the balancer does not answer"
        return f"the lock of the pool is lost: {why}"

    def end(self, done: bool) -> None:
        """Give it back. Raises AdminError."""
        self._lock.end(self._ticket, done)
