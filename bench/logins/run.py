"""Many logins at once, for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle

from bench.logins.login import Login, Plan, log_in
from bench.logins.users import User


@dataclass(frozen=True, slots=True)
class Load:
    """`at_once` logins at most, for `seconds`. `rate`: that many are due each second (an open loop), 0: each user
    begins again `pause` seconds after the last login ended (a closed loop)."""

    at_once: int
    seconds: float
    rate: float = 0.0
    pause: float = 0.0


@dataclass(slots=True)
class Run:
    """What came of it. `seconds` is until the last login ended, `cpu` this program's share of one core meanwhile."""

    logins: list[Login] = field(default_factory=list)
    seconds: float = 0.0
    cpu: float = 0.0
    late: int = 0
    """Logins that were due but never begun, because `at_once` others had not ended."""


class Crowd:
    """Users that log in, each in turn; `stop` ends it early, and what is under way is waited for."""

    def __init__(self, users: Sequence[User], plan: Plan, load: Load) -> None:
        self.run = Run()
        self._users = cycle(users)
        self._plan, self._load = plan, load
        self._stopped = asyncio.Event()
        self._start = time.monotonic()
        self._begun = 0

    def stop(self) -> None:
        """No more logins begin."""
        self._stopped.set()

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self._start

    async def go(self) -> Run:
        """All of them. What has ended so far is in `run` meanwhile."""
        self._start, cpu = time.monotonic(), time.process_time()
        async with asyncio.TaskGroup() as group:
            for _ in range(self._load.at_once):
                group.create_task(self._one_after_the_other())
        run = self.run
        run.seconds, run.cpu = self.seconds, (time.process_time() - cpu) / max(self.seconds, 1e-9)
        if self._load.rate:
            run.late = max(int(min(run.seconds, self._load.seconds) * self._load.rate) - len(run.logins), 0)
        return run

    async def _one_after_the_other(self) -> None:
        while (due := self._next()) < self._load.seconds > self.seconds:
            if await self._stopped_before(due):
                return
            self.run.logins.append(await log_in(next(self._users), self._plan, due, self._start))

    def _next(self) -> float:
        """When the next login is due, in seconds since the start."""
        self._begun += 1
        if self._load.rate:
            return (self._begun - 1) / self._load.rate
        first = self._begun <= self._load.at_once
        return self.seconds + (0.0 if first else self._load.pause)

    async def _stopped_before(self, due: float) -> bool:
        """Wait until it is `due`, or the run is stopped."""
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + max(due - self.seconds, 0.0)):
                await self._stopped.wait()
        except TimeoutError:
            return False
        return True
