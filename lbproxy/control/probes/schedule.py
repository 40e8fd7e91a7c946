"""When each backend is probed."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from lbproxy.control import tasks
from lbproxy.control.probes import Probe, ProbeResult
from lbproxy.control.snapshot import ProbeView

log = logging.getLogger(__name__)

JITTER = 0.1  # an interval is up to this part shorter, never longer: probes spread, promises are kept
MINIMUM_GAP = 0.1  # seconds from one probe's start to the next one's, however often it is asked for
FIRST_BATCH = 10  # backends whose first probe starts at the same moment ...
FIRST_STEP = 0.01  # ... and seconds until the next batch: 1,000 backends are begun within a second


class _Watch:
    """One backend: its probe, the request for another one, and what the last one said and when (monotonic)."""

    __slots__ = ("ended", "last", "probe", "wake")

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.wake = asyncio.Event()
        self.last: ProbeResult | None = None
        self.ended = 0.0


class Prober:
    """Probes backends, by name, from now until `stop`: each one at once and then every `interval` seconds.

    There is a task a backend, so a slow one delays no other, and never two probes of one backend at a time. `report`
    is called on the event loop with each result. `first_round` is set when every backend has had its first one, but for
    those that are `known` already.
    """

    def __init__(
        self,
        probes: Mapping[str, Probe],
        interval: float,
        report: Callable[[str, ProbeResult], None],
        minimum_gap: float = MINIMUM_GAP,
        known: Collection[str] = (),
    ) -> None:
        self.first_round = asyncio.Event()
        self._interval = interval
        self._report = report
        self._minimum_gap = min(minimum_gap, interval)
        self._watches = {name: _Watch(probe) for name, probe in probes.items()}
        self._awaited = set(probes) - set(known)
        self._tasks = [
            tasks.start(self._keep_probing(name, index // FIRST_BATCH * FIRST_STEP), name=f"probe {name}")
            for index, name in enumerate(probes)
        ]
        if not self._awaited:
            self.first_round.set()

    def __repr__(self) -> str:
        return f"<Prober of {len(self._watches)} every {self._interval} s, {len(self._awaited)} not yet probed>"

    def probe_now(self, name: str) -> None:
        """Probe `name` as soon as may be, instead of at the end of its interval.

        While a probe is under way one more follows it, because the reason to ask may be newer; further calls add
        nothing.
        """
        self._watches[name].wake.set()

    def last(self, name: str) -> ProbeResult | None:
        """What the last finished probe of `name` said."""
        return self._watches[name].last

    def view(self, name: str) -> ProbeView | None:
        """The same for the snapshot, with its age."""
        watch = self._watches[name]
        if watch.last is None:
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
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep_probing(self, name: str, delay: float) -> None:
        watch = self._watches[name]
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(delay)
        while True:
            started = clock()
            watch.wake.clear()
            await self._probe(name, watch)
            await asyncio.sleep(started + self._minimum_gap - clock())
            due = started + self._interval * random.uniform(1 - JITTER, 1)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await watch.wake.wait()

    async def _probe(self, name: str, watch: _Watch) -> None:
        try:
            watch.last = await watch.probe.run()
            watch.ended = time.monotonic()
            self._report(name, watch.last)
        except Exception:
            # A fault of ours says nothing about the backend, and must not end its probes.
            log.exception("probe_failed", extra={"fields": {"backend": name}})
        self._awaited.discard(name)
        if not self._awaited:
            self.first_round.set()
