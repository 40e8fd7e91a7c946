"""When a pool's backends are read, and what follows: a verdict, its log lines, and who is kept out of rotation.

A backend is read while it is up. What was read of one that is down stays, so that it does not come back as it was: it
is read again in the moment when a probe readmits it. Verdicts are renewed whenever that changes who has a say.

What it has registered is known before it is read: one that differs in that is out before its first request.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from lbproxy.balance.backend import Backend, State
from lbproxy.balance.consistency import Policy, Verdict
from lbproxy.balance.feed import Observer
from lbproxy.balance.health import Change
from lbproxy.balance.pool import Pool
from lbproxy.control import tasks
from lbproxy.control.consistency.reading import Reading
from lbproxy.control.consistency.report import tell_differences, tell_rotation, tell_trouble
from lbproxy.control.consistency.sources import Source
from lbproxy.control.probes.schedule import JITTER
from lbproxy.control.snapshot import ConsistencyView
from lbproxy.reasons import Reason

log = logging.getLogger(__name__)

AT_A_TIME = 100  # backends of a pool that are asked at the same moment


@dataclass(frozen=True, slots=True)
class Rules:
    """`facts` in their order, with the values that some of them must have; `interval` is in seconds."""

    facts: Sequence[str]
    expected: Mapping[str, str]
    policy: Policy
    interval: float


class Memory(TypedDict):
    """What a guard knows, as JSON has it: of each backend's facts, the value and the trouble of a `Reading`."""

    updating: bool
    readings: Mapping[str, Mapping[str, Sequence[Any]]]


class Guard(Observer):
    """Reads what `sources` says of each member, every interval and after every readmission, until `stop`.

    `verdict` is the latest. While `updating`, no further backend is ejected: a drain is an operator at work, and
    the first of many that were updated is unlike the others, but no fault. It lasts until all are alike again.
    """

    def __init__(
        self,
        pool: Pool,
        sources: Callable[[Backend], Sequence[Source]],
        rules: Rules,
        first_round: asyncio.Event,
        registered: Callable[[Backend], Mapping[str, Reading]] = lambda backend: {},
    ) -> None:
        """first_round: set when every backend was probed; nothing is read before. registered: those facts of a backend
        that need not be read. Call it on the running loop.
        """
        self.verdict = Verdict()
        self.updating = False
        self._pool = pool
        self._make_sources = sources
        self._sources = {backend.name: sources(backend) for backend in pool.backends}
        self._rules = rules
        self._registered = registered
        self._readings: dict[str, Mapping[str, Reading]] = {one.name: registered(one) for one in pool.backends}
        self._due: set[str] = set()  # to be read before the next verdict
        self._wake = asyncio.Event()
        self._kept_out: Mapping[str, str] = {}
        self._slots = asyncio.Semaphore(AT_A_TIME)
        pool.observers.append(self)
        self._task = tasks.start(self._keep_reading(first_round), name=f"consistency {pool.name}")

    def __repr__(self) -> str:
        return f"<consistency guard of {self._pool.name}: {'; '.join(map(str, self.verdict.differences)) or 'alike'}>"

    def look(self, name: str) -> None:
        """Read the backend `name` and judge as soon as may be: something was done to it."""
        self._due.add(name)
        self._wake.set()

    def memory(self) -> Memory:
        """What it knows, for the guard of the next process."""
        readings = {
            name: {fact: (reading.value, reading.trouble) for fact, reading in read.items()}
            for name, read in self._readings.items()
        }
        return {"updating": self.updating, "readings": readings}

    def remember(self, memory: Memory) -> None:
        """Know what another one knew: until a backend is read again, none that was kept out comes back for that."""
        self.updating = memory["updating"]
        for name, read in memory["readings"].items():
            if (backend := self._pool.by_name(name)) is not None:
                known = {fact: Reading(*parts) for fact, parts in read.items() if fact in self._rules.facts}
                self._readings[name] = {**self._registered(backend), **known}

    def facts(self, name: str) -> dict[str, str | None]:
        """What was read of the backend `name` last, for the snapshot; None is not known."""
        read = self._readings.get(name, {})
        return {fact: read[fact].value if fact in read else None for fact in self._rules.facts}

    def troubles(self, name: str) -> dict[str, str]:
        """Why those facts of it that could not be read could not."""
        return {fact: reading.trouble for fact, reading in self._readings.get(name, {}).items() if reading.trouble}

    def view(self) -> ConsistencyView:
        """For the snapshot."""
        return {
            "policy": self._rules.policy,
            "updating": self.updating and self._rules.policy == "eject-minority",
            "differences": [
                {
                    "fact": one.fact,
                    "reference": one.reference,
                    "expected": one.expected,
                    "backends": {name: one.text(name) for name in one.names},
                }
                for one in self.verdict.differences
            ],
        }

    async def stop(self) -> None:
        """Nothing is read or judged after this returns."""
        await tasks.stop(self._task)

    def joined(self, pool: Pool, backend: Backend) -> None:
        """See `Observer`. It is read when a probe of it was good; in what it has registered it is compared now."""
        self._sources[backend.name] = self._make_sources(backend)
        found = self._readings[backend.name] = self._registered(backend)
        if found and not (self.updating or self._drained()):
            verdict = pool.judge(self._known(), self._rules.expected, self._rules.policy)
            backend.inconsistent = verdict.ejected.get(backend.name, "")
        if found:
            self._wake.set()

    def left(self, pool: Pool, backend: Backend) -> None:
        """See `Observer`. It has no say any more."""
        del self._sources[backend.name], self._readings[backend.name]
        self._wake.set()

    def changed(self, pool: Pool, backend: Backend, change: Change | None, reason: Reason | None, detail: str) -> None:
        """See `Observer`."""
        if change is Change.READMIT:
            self.look(backend.name)
        elif change is Change.EJECT:
            self._wake.set()

    async def _keep_reading(self, first_round: asyncio.Event) -> None:
        await first_round.wait()
        clock = asyncio.get_running_loop().time
        while True:
            again = clock() + self._rules.interval * random.uniform(1 - JITTER, 1)
            self._due.update(self._sources)
            await self._catch_up()
            while await self._woken(again):
                await self._catch_up()

    async def _woken(self, until: float) -> bool:
        """Wait for a reason to look again, or for that time (of the loop's clock), when there is none."""
        return await tasks.wait_for(self._wake, until - asyncio.get_running_loop().time())

    async def _catch_up(self) -> None:
        """No verdict while a backend is still to be read: the values of a few may look like a majority."""
        self._wake.clear()
        while self._due:
            names, self._due = self._due, set()
            await asyncio.gather(*map(self._read, names))
        self._judge()

    async def _read(self, name: str) -> None:
        backend = self._pool.by_name(name)
        if backend is None:
            return
        if backend.state is not State.UP:
            if registered := self._registered(backend):
                self._note(backend, {**self._readings[name], **registered})
            return
        try:
            async with self._slots:
                sources = self._sources.get(name, ())  # it may have left meanwhile
                found = await asyncio.gather(*(source.read() for source in sources))
        except Exception:
            # A fault of ours says nothing about the backend, and must not end the guard.
            log.exception("consistency_failed", extra={"fields": {"pool": self._pool.name, "backend": name}})
            return
        if backend.state is State.UP and self._pool.by_name(name) is backend:  # still; or no wonder that it is silent
            facts = {fact: reading for read in found for fact, reading in read.items()}
            self._note(backend, {**facts, **self._registered(backend)})

    def _note(self, backend: Backend, read: dict[str, Reading]) -> None:
        before = self._readings[backend.name]
        if backend.inconsistent:  # it has to show that it has changed; silence is no reason to let it in
            for fact, reading in read.items():
                if reading.value is None and fact in before:
                    read[fact] = Reading(before[fact].value, reading.trouble)
        tell_trouble(self._pool.name, backend.name, before, read)
        self._readings[backend.name] = read

    def _judge(self) -> None:
        """Compare what is known, act on it, and tell what has changed."""
        before, rules = self.verdict, self._rules
        drained = self._drained()
        self.updating = self.updating or drained
        self.verdict = self._pool.compare(self._known(), rules.expected, rules.policy, anew=not self.updating)
        kept_out = {backend.name: backend.inconsistent for backend in self._pool.backends if backend.inconsistent}
        differing = {name for one in self.verdict.differences for name in one.names}
        self.updating = drained or (self.updating and not differing <= kept_out.keys())
        tell_differences(self._pool.name, before, self.verdict)
        tell_rotation(self._pool.name, self._kept_out, kept_out)
        self._kept_out = kept_out

    def _known(self) -> dict[str, dict[str, str | None]]:
        return {
            fact: {name: read[fact].value for name, read in self._readings.items() if fact in read}
            for fact in self._rules.facts
        }

    def _drained(self) -> bool:
        return any(backend.draining for backend in self._pool.backends)
