"""The status in as many lines as a terminal has: every pool is in sight, whatever is left out of it.

Each line is cut at the terminal's width. The most detailed of these views that fits is shown:

    each backend has a line
    the healthy backends of a pool share a line
    a pool has one line
    the healthy pools share a line
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from enum import IntEnum

from rich.console import Group
from rich.text import Text

from lbproxy.cli.console import plain
from lbproxy.cli.wording import colour, duration, fleet_state, refusals, share, state, title, waits
from lbproxy.control.log.timestamp import timestamp
from lbproxy.control.snapshot import BackendView, ListenerView, PoolView, Snapshot


class Detail(IntEnum):
    """How much is left out."""

    BACKENDS = 0
    TROUBLED_BACKENDS = 1
    POOLS = 2
    TROUBLED_POOLS = 3


def compact(snapshot: Snapshot, height: int) -> Group:
    """The view for people, in at most `height` lines."""
    for detail in Detail:
        lines = [*_head(snapshot, detail), *_pools(snapshot["pools"], detail)]
        if len(lines) <= height:
            return Group(*map(_cut, lines))
    rest = len(lines) - height + 1
    return Group(*map(_cut, [*lines[: height - 1], plain(f"... {rest} more lines; lbproxy status shows them")]))


def _cut(line: Text) -> Text:
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _head(snapshot: Snapshot, detail: Detail) -> Iterator[Text]:
    yield plain(title(snapshot))
    last = snapshot["configuration"]["last_reload"]
    if last is not None and not last["ok"]:
        failed = plain(f"the last reload, at {timestamp(last['ended'])}, failed: {'; '.join(last['problems'])}")
        failed.stylize("red")
        yield failed
    for refused in map(plain, refusals(snapshot, time.time())):
        refused.stylize("red")
        yield refused
    if snapshot["fleet"] is not None:
        yield plain(fleet_state(snapshot["fleet"], time.time()))
    listeners = snapshot["listeners"]
    if detail < Detail.POOLS:
        yield from map(_listener, listeners)
    else:
        yield plain(f"all listeners: {_counted(listeners)}")


def _listener(view: ListenerView) -> Text:
    tls = ", tls" if view["tls"] else ""
    return plain(f"listener {view['name']}, {view['bind']}, {view['mode']}{tls}: {_counted([view])}")


def _counted(listeners: list[ListenerView]) -> str:
    numbers = {
        "open": sum(one["connections"] for one in listeners),
        "accepted": sum(one["accepted"] for one in listeners),
        "requests": sum(one["requests"] for one in listeners),
        "refused": sum(sum(one["refused"].values()) for one in listeners),
    }
    return ", ".join(f"{number} {what}" for what, number in numbers.items())


def _pools(pools: list[PoolView], detail: Detail) -> Iterator[Text]:
    if detail is not Detail.TROUBLED_POOLS:
        for pool in pools:
            yield from _pool(pool, detail)
        return
    healthy = [pool["name"] for pool in pools if not _troubled(pool)]
    for pool in pools:
        if _troubled(pool):
            yield _summary(pool)
    if healthy:
        yield plain(f"{len(healthy)} pools with every backend healthy: {', '.join(healthy)}")


def _pool(pool: PoolView, detail: Detail) -> Iterator[Text]:
    if detail is Detail.POOLS:
        yield _summary(pool)
        return
    yield _heading(pool)
    shown = pool["backends"] if detail is Detail.BACKENDS else _troubled(pool)
    yield from _rows(pool, shown)
    rest = len(pool["backends"]) - len(shown)
    if rest:
        yield plain(f"  {rest} {'more ' if shown else ''}healthy")


def _troubled(pool: PoolView) -> list[BackendView]:
    """The backends that do not get their whole share; a healthy standby has none to get."""
    return [one for one in pool["backends"] if one["ramp"] < 1 or not (one["in_rotation"] or waits(one))]


def _heading(pool: PoolView) -> Text:
    inside = sum(one["in_rotation"] for one in pool["backends"])
    waiting = sum(waits(one) for one in pool["backends"])
    standbys = f", {waiting} standby{' waits' if waiting == 1 else 's wait'}" if waiting else ""
    heading = plain(f"pool {pool['name']}: {inside} of {len(pool['backends'])} in rotation{standbys}")
    heading.stylize("bold" if inside else "bold red")
    tickets = pool["tickets"]
    if tickets is not None and tickets["reason_text"] is not None:
        heading += plain(f"; kerberos, for {duration(tickets['since_seconds'])}: {tickets['reason_text']}")
    for source in pool["discovery"]:
        if source["error"] is not None:
            heading += plain(f"; {source['source']}, for {duration(source['stale_seconds'])}: {source['error']}")
    return heading


def _summary(pool: PoolView) -> Text:
    """A pool in one line."""
    out = [Text(one["name"], colour(one)) + plain(f" {state(one).plain}{_because(one)}") for one in _troubled(pool)]
    return Text("; ").join([_heading(pool), *out])


def _because(backend: BackendView) -> str:
    why = _why(backend)
    return f" ({why})" if why else ""


def _why(backend: BackendView) -> str:
    """Why it is out of rotation, or what its last probe saw."""
    return ": ".join(part for part in (backend["reason_text"], backend["detail"]) if part) or backend["inconsistent"]


_COLUMNS: tuple[tuple[str, Callable[[BackendView, int], str]], ...] = (
    ("since", lambda backend, _: duration(backend["since_seconds"])),
    ("share", share),
    ("requests", lambda backend, _: str(backend["requests"])),
    ("active", lambda backend, _: str(backend["active"])),
    ("errors", lambda backend, _: str(backend["errors"])),
)
"""Numbers, which are at the right of their columns."""


def _rows(pool: PoolView, backends: list[BackendView]) -> Iterator[Text]:
    """A heading and a line for each of `backends`, of which the shares are those in the whole pool."""
    if not backends:
        return
    total = sum(one["requests"] for one in pool["backends"])
    names = [plain(one["name"]).plain for one in backends]
    states = [state(one) for one in backends]
    columns = [[heading, *(read(one, total) for one in backends)] for heading, read in _COLUMNS]
    first, second = max(map(len, ["backend", *names])), max(len("state"), *map(len, states))
    widths = [max(map(len, column)) for column in columns]
    numbers = ["  ".join(map(str.rjust, row, widths)) for row in zip(*columns, strict=True)]
    yield Text(f"  {'backend'.ljust(first)}  {'state'.ljust(second)}  {numbers[0]}", "dim")
    for name, shown, row, backend in zip(names, states, numbers[1:], backends, strict=True):
        shown.pad_right(second - len(shown))
        yield Text(f"  {name.ljust(first)}  ") + shown + plain(f"  {row}  {_why(backend)}")
