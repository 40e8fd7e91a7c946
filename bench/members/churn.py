"""Many members, some of which change all the time: lbproxy's CPU time and its users' waits, beside rounds of rest.

In a round of rest as much is changed in another place, which lbproxy does not follow: what the source and this program
take of the core of the load generator is in both.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich import box
from rich.table import Table

from bench.load import meter
from bench.load.backends import Backends
from bench.load.beside import KEPT, NEW, parse
from bench.load.load import Load
from bench.load.ratio import Ratio
from bench.members.balancer import Balancer
from bench.members.places import PAIRS, Place
from bench.processes import LOAD_CORE, Child

SCENARIO = "busy"
"""Of `bench.load`: its small requests alone, 200 a second on new connections and 200 on kept ones."""

INTERVAL = "10s"
"""Between two probes of a backend: with 1,000 of them, 100 probes a second are in both kinds of rounds."""

_LEAD = 5.0  # seconds for the load generator to start; a request is late if it is not ready when that is due


@dataclass(frozen=True, slots=True)
class Round:
    """With so many `changes`, perhaps aside; `cpu` is what lbproxy took of one core, in seconds a second."""

    changes: int
    cpu: float
    new: Load
    kept: Load


async def measure(kind: str, members: int, rate: float, seconds: int, rounds: int) -> tuple[list[Round], list[Round]]:
    """Rounds in rest, and rounds with `rate` changes a second: pairs of one each, every other pair begins with rest."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        ports = stack.enter_context(Backends(directory, 3, 2000)).ports
        urls = {f"m{number}": f"http://127.0.0.1:{ports[number % len(ports)]}" for number in range(members)}
        place = PAIRS[kind](directory, stack)
        await place.fill(urls)
        aside = place.aside()
        await aside.fill(urls)
        balancer = stack.enter_context(Balancer(directory, place.table, INTERVAL))
        balancer.wait_for(members)
        changers = Changer(aside, urls), Changer(place, urls)
        found: tuple[list[Round], list[Round]] = [], []
        for number in range(rounds):
            for each in (0, 1) if number % 2 == 0 else (1, 0):
                name = f"{number}-{each}"
                found[each].append(await _round(balancer, directory, seconds, name, changers[each], rate))
        await place.close()
    return found


class Changer:
    """One member after the other leaves, and joins again with the next change."""

    def __init__(self, place: Place, urls: dict[str, str]) -> None:
        self._place = place
        self._urls = urls
        self._names = list(urls)
        self._next = 0

    async def run(self, rate: float, until: float) -> int:
        """`rate` changes a second until that monotonic time; how many there were."""
        start, count = time.monotonic(), 0
        while time.monotonic() < until:
            await self._change()
            count += 1
            await asyncio.sleep(max(0.0, start + count / rate - time.monotonic()))
        return count

    async def _change(self) -> None:
        name = self._names[self._next // 2 % len(self._names)]
        if self._next % 2:
            await self._place.add(name, self._urls[name])
        else:
            await self._place.remove(name)
        self._next += 1


async def _round(balancer: Balancer, directory: Path, seconds: int, name: str, changer: Changer, rate: float) -> Round:
    start = time.monotonic() + _LEAD
    command = [sys.executable, "-m", "bench.load.beside", SCENARIO, str(balancer.port), str(seconds), str(start)]
    with Child(name, command, LOAD_CORE, directory) as load:
        await asyncio.sleep(start - time.monotonic())
        before = meter.cpu_ns(balancer.child.pids())
        changes = await changer.run(rate, start + seconds)
        took = time.monotonic() - start
        cpu = (meter.cpu_ns(balancer.child.pids()) - before) / 1e9 / took
        await asyncio.to_thread(load.wait)
        found = parse(load.output)
    return Round(changes, cpu, found[NEW], found[KEPT])


def table(found: dict[str, tuple[list[Round], list[Round]]]) -> Table:
    """Medians of the rounds, and of the pairs' ratios of p99 the interval too; failed requests of all rounds."""
    columns = "CPU ms/s", "CPU ms/change", "p50, p99 kept", "ratio", "p50, p99 new", "ratio", "requests", "failed"
    shown = Table("source", "changes/s", *columns, box=box.MARKDOWN)
    for kind, (rest, churn) in found.items():
        seconds = rest[0].kept.seconds
        for rounds in (rest, churn):
            each = (median(one.cpu for one in rounds) - median(one.cpu for one in rest)) * 1000
            rate = 0.0 if rounds is rest else median(one.changes for one in rounds) / seconds
            shown.add_row(
                kind,
                f"{rate:.1f}",
                f"{1000 * median(one.cpu for one in rounds):.1f}",
                f"{each / rate:.2f}" if rate else "",
                _waits([one.kept for one in rounds]),
                _beside([one.kept for one in rounds], [one.kept for one in rest]) if rate else "",
                _waits([one.new for one in rounds]),
                _beside([one.new for one in rounds], [one.new for one in rest]) if rate else "",
                f"{sum(one.kept.requests + one.new.requests for one in rounds):,}",
                str(sum(one.kept.errors + one.new.errors for one in rounds)),
            )
    return shown


def _waits(loads: Sequence[Load]) -> str:
    """In milliseconds."""
    return f"{median(one.p50_us for one in loads) / 1000:.2f}, {median(one.p99_us for one in loads) / 1000:.2f}"


def _beside(churn: Sequence[Load], rest: Sequence[Load]) -> str:
    """p99 over that of the same pair's round of rest."""
    found = Ratio.of([one.p99_us / other.p99_us for one, other in zip(churn, rest, strict=True)])
    return f"{found} ({found.between})"
