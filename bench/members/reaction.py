"""From an event at a source to the backend in rotation, and out of it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich import box
from rich.table import Table

from bench.errors import BenchError
from bench.members.balancer import Balancer
from bench.members.places import PLACES, Place, listening

STAY = 4
"""Backends that stay, so that one that leaves is never half of all, which would be doubted."""

_LOOK = 0.005  # seconds between two looks into the log
_PATIENCE = 20.0


@dataclass(slots=True)
class Reaction:
    """Seconds of each time: until it was a member, until it was in rotation, and until it was gone."""

    joined: list[float] = field(default_factory=list)
    serving: list[float] = field(default_factory=list)
    left: list[float] = field(default_factory=list)


async def measure(kind: str, times: int) -> Reaction:
    """Have one come and go so often."""
    addresses = [f"127.0.0.{number}" for number in range(2, STAY + 3)]
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        port = listening(stack, addresses)
        *stay, last = ((address, f"http://{address}:{port}") for address in addresses)
        place = PLACES[kind](directory, stack)
        await place.fill(dict(stay))
        balancer = stack.enter_context(Balancer(directory, place.table, "2s"))
        balancer.wait_for(STAY)
        found = Reaction()
        for number in range(times):
            await asyncio.sleep(1.5 + 0.37 * (number % 4))  # at another moment of its looks each time
            await _once(place, balancer, *last, found)
        await place.close()
    return found


async def _once(place: Place, balancer: Balancer, name: str, url: str, found: Reaction) -> None:
    start = time.time()
    await place.add(name, url)
    found.joined.append(await _seen(balancer, "backend_joined", name, start) - start)
    found.serving.append(await _seen(balancer, "backend_readmitted", name, start) - start)
    start = time.time()
    await place.remove(name)
    found.left.append(await _seen(balancer, "backend_left", name, start) - start)


async def _seen(balancer: Balancer, event: str, name: str, since: float) -> float:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if (at := balancer.logged(event, name, since)) is not None:
            return at
        await asyncio.sleep(_LOOK)
    raise BenchError(f"no {event} of {name} within {_PATIENCE:g} s")


def table(found: Mapping[str, Reaction]) -> Table:
    """Median and longest, in milliseconds."""
    shown = Table("source", "member", "in rotation", "gone", box=box.MARKDOWN)
    for kind, one in found.items():
        shown.add_row(kind, *(_both(seconds) for seconds in (one.joined, one.serving, one.left)))
    return shown


def _both(seconds: list[float]) -> str:
    return f"{1000 * median(seconds):.0f}, {1000 * max(seconds):.0f}"
