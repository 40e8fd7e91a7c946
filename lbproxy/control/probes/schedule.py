"""When each backend is probed."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Collection, Mapping
from heapq import heappop, heappush

from lbproxy.control import tasks
from lbproxy.control.probes import Probe, ProbeResult
from lbproxy.control.snapshot import ProbeView

log = logging.getLogger(__name__)

JITTER = 0.1  # an interval is up to this part shorter, never longer: probes spread, promises are kept
FIRST_JITTER = 0.5  # the first interval, by this part: all have begun within a second, and would go on so for minutes
MINIMUM_GAP = 0.1  # seconds from one probe's start to the next one's, however often it is asked for
FIRST_BATCH = 10  # backends whose first probe starts at the same moment ...
FIRST_STEP = 0.01  # ... and seconds until the next batch: 1,000 backends are begun within a second
TOGETHER = 0.02
"""Seconds that one may wait for others, to begin with them.

Of a thousand backends that makes ten at a time, at half the cost: what ran for one is in the caches for the next.
"""


class _Watch:
    """One backend: its probe, when the next one is due (on the loop's clock), and what the last one said and when."""

    __slots__ = ("due", "ended", "jitter", "last", "name", "probe", "started", "task", "wanted")

    def __init__(self, name: str, probe: Probe, due: float) -> None:
        self.name = name
        self.probe = probe
        self.due = due
        self.started = due
        self.jitter = FIRST_JITTER  # of the next interval
        self.task: asyncio.Task[None] | None = None  # of the probe that is under way
        self.wanted = False  # one more, as soon as that has ended
        self.last: ProbeResult | None = None
        self.ended = 0.0  # monotonic


class Prober:
    """Probes backends, by name, from now until `stop`: each one at once and then every `interval` seconds.

    Backends come and go by `join` and `leave`. Each probe is a task, so a slow one delays no other, and there are never
    two of one backend at a time. `report` is called on the event loop with each result. `first_round` is set when every
    backend has had its first one, but for those that are `known` already; with `more`, not before `complete` is called.
    """

    def __init__(
        self,
        probes: Mapping[str, Probe],
        interval: float,
        report: Callable[[str, ProbeResult], None],
        minimum_gap: float = MINIMUM_GAP,
        known: Collection[str] = (),
        more: bool = False,
    ) -> None:
        self.first_round = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._interval = interval
        self._report = report
        self._minimum_gap = min(minimum_gap, interval)
        self._together = min(TOGETHER, interval * JITTER / 2)
        begin = self._loop.time()
        self._watches = {
            name: _Watch(name, probe, begin + index // FIRST_BATCH * FIRST_STEP)
            for index, (name, probe) in enumerate(probes.items())
        }
        self._leaving: set[asyncio.Task[None]] = set()  # probes of those that have left, which are being ended
        # A heap of who is due when. An entry that is not its watch's `due` any more means nothing.
        self._queue = sorted((watch.due, name) for name, watch in self._watches.items())
        self._wakes = begin
        self._timer: asyncio.Handle = self._loop.call_soon(self._turn)
        self._awaited = set(probes) - set(known)
        self._more = more
        if not self._awaited and not more:
            self.first_round.set()

    def __repr__(self) -> str:
        return f"<Prober of {len(self._watches)} every {self._interval} s, {len(self._awaited)} not yet probed>"

    def join(self, name: str, probe: Probe) -> None:
        """Probe one more backend, from now on. One that comes before the first round is over belongs to it."""
        watch = self._watches[name] = _Watch(name, probe, self._loop.time())
        if not self.first_round.is_set():
            self._awaited.add(name)
        self._plan(watch, watch.due, self._together)

    def complete(self) -> None:
        """Every backend of the first round has joined."""
        self._more = False
        self._arrived("")

    def leave(self, name: str) -> None:
        """End the probes of a backend; none of it is reported any more."""
        watch = self._watches.pop(name)
        if watch.task is not None:
            watch.task.cancel()
            self._leaving.add(watch.task)
            watch.task.add_done_callback(self._leaving.discard)
        self._arrived(name)

    def probe_now(self, name: str) -> None:
        """Probe `name` as soon as may be, instead of at the end of its interval.

        While a probe is under way one more follows it, because the reason to ask may be newer; further calls add
        nothing.
        """
        watch = self._watches.get(name)
        if watch is None:
            return  # it has left
        if watch.task is not None:
            watch.wanted = True
        elif (due := watch.started + self._minimum_gap) < watch.due:
            self._plan(watch, due, patience=0.0)

    def last(self, name: str) -> ProbeResult | None:
        """What the last finished probe of `name` said; None if there is none."""
        watch = self._watches.get(name)
        return None if watch is None else watch.last

    def view(self, name: str) -> ProbeView | None:
        """The same for the snapshot, with its age."""
        watch = self._watches.get(name)
        if watch is None or watch.last is None:
            return None
        return {
            "ok": watch.last.ok,
            "detail": watch.last.detail,
            "reason": watch.last.reason,
            "took_seconds": watch.last.took,
            "age_seconds": time.monotonic() - watch.ended,
        }

    async def stop(self) -> None:
        """End every probe; none is reported after this returns."""
        self._timer.cancel()
        self._wakes = -math.inf  # no timer is set any more, also when a probe is asked for
        await tasks.stop(*self._leaving, *(watch.task for watch in self._watches.values()))

    def _turn(self) -> None:
        """Begin every probe that is due."""
        now = max(self._loop.time(), self._wakes)  # a timer may come early: loops count in milliseconds
        while self._queue and self._queue[0][0] <= now:
            due, name = heappop(self._queue)
            watch = self._watches.get(name)
            if watch is not None and due == watch.due and watch.task is None:
                watch.started = now
                watch.task = tasks.start(self._probe(watch), name=f"probe {name}")
        self._wakes = math.inf
        if self._queue:
            self._wake_at(self._queue[0][0] + self._together)

    async def _probe(self, watch: _Watch) -> None:
        try:
            watch.last = await watch.probe.run()
            watch.ended = time.monotonic()
            self._report(watch.name, watch.last)
        except Exception:
            # A fault of ours says nothing about the backend, and must not end its probes.
            log.exception("probe_failed", extra={"fields": {"backend": watch.name}})
        watch.task = None
        if self._watches.get(watch.name) is watch:  # or its report made it leave
            self._plan_next(watch)
            self._arrived(watch.name)

    def _arrived(self, name: str) -> None:
        """It has been probed, or need not be."""
        self._awaited.discard(name)
        if not self._awaited and not self._more:
            self.first_round.set()

    def _plan_next(self, watch: _Watch) -> None:
        if watch.wanted:
            watch.wanted = False
            self._plan(watch, watch.started + self._minimum_gap, patience=0.0)
        else:
            wait = random.uniform((1 - watch.jitter) * self._interval, self._interval - self._together)
            watch.jitter = JITTER
            self._plan(watch, watch.started + max(wait, self._minimum_gap), self._together)

    def _plan(self, watch: _Watch, due: float, patience: float) -> None:
        """Probe at `due`, or at most `patience` seconds later with others."""
        watch.due = due
        heappush(self._queue, (due, watch.name))
        self._wake_at(due + patience)

    def _wake_at(self, when: float) -> None:
        if when < self._wakes:
            self._wakes = when
            self._timer.cancel()
            self._timer = self._loop.call_at(when, self._turn)
