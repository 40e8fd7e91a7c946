"""The steps of a rollout, for one instance at a time, until the first failure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Protocol

from lbproxy.control import tasks
from lbproxy.control.draining import died
from lbproxy.control.rollout.plan import Target, check_spare, check_spare_elsewhere
from lbproxy.control.rollout.waiting import everywhere, until_back_everywhere, until_finished, until_good
from lbproxy.control.snapshot import InstanceView, PoolView
from lbproxy.errors import LbproxyError, RolloutError

PAUSE = 0.5
"""Seconds between two looks at an instance."""


class Balancer(Protocol):
    """The balancer in front of the instances. Every method may raise an LbproxyError, which stops the rollout."""

    async def pools(self, target: Target) -> list[PoolView]:
        """How the pools that have the instance are now."""
        ...

    async def instance(self, target: Target) -> InstanceView:
        """How the instance is now, in all of its pools."""
        ...

    async def drain(self, target: Target, force: bool) -> None:
        """Give it no new work in any pool; `force`: even if it is the last one in rotation."""
        ...

    async def ready(self, target: Target) -> None:
        """End its drain in all pools."""
        ...


class Observer(Protocol):
    """Who watches."""

    def done(self, target: Target, what: str) -> None:
        """A step is done."""
        ...

    def waits(self, target: Target, what: str) -> None:
        """What is waited for now; told again and again as it changes."""
        ...


class Step(Enum):
    """How far a backend has come. The value is the state that a stop leaves it in."""

    UNTOUCHED = "was not touched"
    DRAINED = "stays drained; its command was not run"
    COMMAND = "stays drained; its command did not end well"
    UPDATED = "stays drained; its command has run"
    READY = "was updated and made ready, but is not wholly in rotation yet"


@dataclass(frozen=True, slots=True)
class Conditions:
    """`keep` backends stay in rotation; `expected` facts are waited for; `timeout` seconds is an instance's time."""

    keep: int = 1
    expected: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 600.0


class Rollout:
    """Updates `targets` in their order. `updated` are those that are done; `step` is how far the next one has come."""

    def __init__(
        self,
        targets: Sequence[Target],
        balancer: Balancer,
        update: Callable[[Target], Awaitable[None]],
        observer: Observer,
        conditions: Conditions,
        pause: float = PAUSE,
    ) -> None:
        """update: does it, and raises RolloutError when it could not; pause: seconds between two looks."""
        self.targets = tuple(targets)
        self.updated: list[Target] = []
        self.step = Step.UNTOUCHED
        self._balancer = balancer
        self._update = update
        self._observer = observer
        self._conditions = conditions
        self._pause = pause
        self._awaited = ""
        self._stop = asyncio.Event()
        self._stop_why = ""

    def __repr__(self) -> str:
        return f"<rollout of {len(self.targets)}, {len(self.updated)} updated, the next one {self.step.name}>"

    async def run(self) -> None:
        """Update all. Raises RolloutError at the first failure; it says why, and what that leaves."""
        for target in self.targets:
            try:
                async with asyncio.timeout(self._conditions.timeout):
                    await self._one(target)
            except TimeoutError:
                waited = f", waiting for {self._awaited}" if self._awaited else ""
                raise self._stopped(f"it took longer than {self._conditions.timeout:g} s{waited}") from None
            except LbproxyError as error:
                raise self._stopped(str(error)) from error
            self.updated.append(target)
            self.step = Step.UNTOUCHED

    @property
    def stopping(self) -> bool:
        """Whether it goes no further."""
        return self._stop.is_set()

    def stop(self, why: str) -> None:
        """Go no further, and have `run` raise that. A command that runs may end: half an update is worse than one."""
        self._stop_why = why
        self._stop.set()
        if self.step is Step.COMMAND:
            self._waits(self.targets[len(self.updated)], f"its command, after which the rollout stops: {why}")

    def left(self) -> str:
        """What a stop at this moment leaves, and how to go on: a line each."""
        done, rest = len(self.updated), self.targets[len(self.updated) + 1 :]
        if done == len(self.targets):
            return "every backend was updated"
        target = self.targets[done]
        lines = [f"{target} {self.step.value}"]
        if self.updated:
            lines.append(f"updated: {_names(self.updated)}")
        if rest:
            lines.append(f"not touched: {_names(rest)}")
        return "\n".join([*lines, *self._how_to_go_on(target, rest)])

    def _how_to_go_on(self, target: Target, rest: Sequence[Target]) -> list[str]:
        following = f"the same command with --from {rest[0].name}" if rest else ""
        if self.step is Step.READY:
            return [f"to go on: {following}"] if rest else []
        again = f"to go on: the same command with --from {target.name}"
        if self.step is Step.UNTOUCHED:
            return [again]
        ready = f"lbproxy ready {target.name}"
        if self.step is Step.DRAINED:
            return [again, f"to leave it as it was: {ready}"]
        return [
            f"{again}, which updates it again",
            f"or, if it is right by now: {ready}{following and ', and '}{following}",
        ]

    def _stopped(self, why: str) -> RolloutError:
        return RolloutError(f"{self.targets[len(self.updated)]}: {why}\n{self.left()}")

    # --- one instance

    async def _one(self, target: Target) -> None:
        conditions = self._conditions
        check_spare(await self._balancer.pools(target), target.name, conditions.keep)
        check_spare_elsewhere(await self._balancer.instance(target), target.name, conditions.keep)
        self._go_on()
        self.step = Step.DRAINED
        await self._balancer.drain(target, force=conditions.keep == 0)
        await self._until(target, lambda instance, _: until_finished(instance))
        gone = died(await self._balancer.instance(target))
        self._observer.done(target, f"drained, and nothing left to finish{gone and f' ({gone})'}")
        self._go_on()
        await self._run_command(target)
        await self._until(target, partial(self._until_good, target))
        facts = "".join(f", {name} is {value}" for name, value in conditions.expected.items())
        self._observer.done(target, f"healthy{facts}")
        self.step = Step.READY
        await self._balancer.ready(target)
        await self._until(target, lambda instance, _: until_back_everywhere(instance))
        self._observer.done(target, "in rotation")

    async def _run_command(self, target: Target) -> None:
        self.step = Step.COMMAND
        self._waits(target, "its command")
        started = time.monotonic()
        await self._update(target)
        self.step = Step.UPDATED
        self._observer.done(target, f"command done in {time.monotonic() - started:.1f} s")

    def _until_good(self, target: Target, instance: InstanceView, since: float) -> str:
        """The facts are those of the pool that the rollout is for; other pools may read others, or none."""
        expected = self._conditions.expected
        return everywhere(
            instance, lambda pool, backend: until_good(backend, since, expected if pool == target.pool else {})
        )

    async def _until(self, target: Target, awaited: Callable[[InstanceView, float], str]) -> None:
        """Look at the instance until `awaited`, given how long ago this began (seconds), has nothing to say."""
        began = time.monotonic()
        while True:
            self._go_on()
            since = time.monotonic() - began  # before the look, so that it is never too long
            what = awaited(await self._balancer.instance(target), since)
            if not what:
                self._awaited = ""
                return
            self._waits(target, what)
            await tasks.wait_for(self._stop, self._pause)

    def _go_on(self) -> None:
        """Raises RolloutError if it has to stop."""
        if self.stopping:
            raise RolloutError(self._stop_why)

    def _waits(self, target: Target, what: str) -> None:
        self._awaited = what
        self._observer.waits(target, what)


def _names(targets: Sequence[Target]) -> str:
    return ", ".join(target.name for target in targets)
