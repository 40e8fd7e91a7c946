"""The status in as many lines as a terminal has: every pool is in sight, whatever is left out of it.

Each line is cut at the terminal's width. The most detailed of these views that fits is shown:

    each backend has a line, and what is to say of it another one
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

from lbproxy.cli.complaints import complaints
from lbproxy.cli.console import plain
from lbproxy.cli.trend import Trend
from lbproxy.cli.wording import (
    colour,
    duration,
    failed,
    fleet_state,
    refusals,
    share,
    state,
    time_of,
    title,
    waits,
)
from lbproxy.control.log.timestamp import timestamp
from lbproxy.control.snapshot import BackendView, ListenerView, PoolView, Snapshot


class Detail(IntEnum):
    """How much is left out."""

    EVERYTHING = 0
    BACKENDS = 1
    TROUBLED_BACKENDS = 2
    POOLS = 3
    TROUBLED_POOLS = 4


def compact(snapshot: Snapshot, height: int | None, trend: Trend | None = None) -> Group:
    """The view for people, in at most `height` lines; None: as many as it takes, and none is cut."""
    if height is None:
        return Group(*_lines(snapshot, Detail.EVERYTHING, trend))
    for detail in Detail:
        lines = [*_lines(snapshot, detail, trend)]
        if len(lines) <= height:
            return Group(*map(_cut, lines))
    rest = len(lines) - height + 1
    return Group(*map(_cut, [*lines[: height - 1], plain(f"... {rest} more lines; lbproxy status --wide shows them")]))


def _lines(snapshot: Snapshot, detail: Detail, trend: Trend | None) -> Iterator[Text]:
    yield from _head(snapshot, detail)
    yield from _pools(snapshot["pools"], detail, trend)


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


def _pools(pools: list[PoolView], detail: Detail, trend: Trend | None) -> Iterator[Text]:
    if detail is not Detail.TROUBLED_POOLS:
        for pool in pools:
            yield from _pool(pool, detail, trend)
        return
    healthy = [pool["name"] for pool in pools if not _troubled(pool)]
    for pool in pools:
        if _troubled(pool):
            yield _summary(pool)
    if healthy:
        yield plain(f"{len(healthy)} pools with every backend healthy: {', '.join(healthy)}")


def _pool(pool: PoolView, detail: Detail, trend: Trend | None) -> Iterator[Text]:
    if detail is Detail.POOLS:
        yield _summary(pool)
        return
    yield _heading(pool, trend)
    shown = pool["backends"] if detail <= Detail.BACKENDS else _troubled(pool)
    yield from _rows(pool, shown, trend)
    if detail is Detail.EVERYTHING:
        yield from complaints(pool)
    rest = len(pool["backends"]) - len(shown)
    if rest:
        yield plain(f"  {rest} {'more ' if shown else ''}healthy")


def _troubled(pool: PoolView) -> list[BackendView]:
    """The backends that stand out, or do not get their whole share; a healthy standby has none to get."""
    return [
        one
        for one in pool["backends"]
        if one["name"] in pool["outliers"] or one["ramp"] < 1 or not (one["in_rotation"] or waits(one))
    ]


def _heading(pool: PoolView, trend: Trend | None = None) -> Text:
    inside = sum(one["in_rotation"] for one in pool["backends"])
    waiting = sum(waits(one) for one in pool["backends"])
    standbys = f", {waiting} standby{' waits' if waiting == 1 else 's wait'}" if waiting else ""
    heading = plain(f"pool {pool['name']}: {inside} of {len(pool['backends'])} in rotation{standbys}")
    heading.stylize("bold" if inside else "bold red")
    if trend is not None and (went := trend.of_pool(pool)):
        heading += plain(f"  {went}")
    tickets = pool["tickets"]
    if tickets is not None and tickets["reason_text"] is not None:
        heading += plain(f"; kerberos, for {duration(tickets['since_seconds'])}: {tickets['reason_text']}")
    for source in pool["discovery"]:
        if source["error"] is not None:
            heading += plain(f"; {source['source']}, for {duration(source['stale_seconds'])}: {source['error']}")
    return heading


def _summary(pool: PoolView) -> Text:
    """A pool in one line."""
    out = [
        Text(one["name"], colour(one)) + plain(f" {state(one).plain}{_because(pool, one)}") for one in _troubled(pool)
    ]
    return Text("; ").join([_heading(pool), *out])


def _because(pool: PoolView, backend: BackendView) -> str:
    why = _why(pool, backend)
    return f" ({why})" if why else ""


def _why(pool: PoolView, backend: BackendView) -> str:
    """Why it is out of rotation, or what its last probe saw; and what stands out of it."""
    why = ": ".join(part for part in (backend["reason_text"], backend["detail"]) if part) or backend["inconsistent"]
    return "; ".join(filter(None, [*pool["outliers"].get(backend["name"], ()), why]))


_COLUMNS: tuple[tuple[str, Callable[[BackendView, int], str]], ...] = (
    ("since", lambda backend, _: duration(backend["since_seconds"])),
    ("share", share),
    ("active", lambda backend, _: str(backend["active"])),
    ("errors", lambda backend, _: str(backend["errors"])),
    ("5xx", lambda backend, _: failed(backend["recent"]["minute"])),
    ("p50", lambda backend, _: time_of(backend["recent"]["minute"]["p50"])),
    ("p99", lambda backend, _: time_of(backend["recent"]["minute"]["p99"])),
)
"""Numbers, which are at the right of their columns; the last three are of the last minute."""


def _rows(pool: PoolView, backends: list[BackendView], trend: Trend | None) -> Iterator[Text]:
    """A heading and a line for each of `backends`, of which the shares are those in the whole pool."""
    if not backends:
        return
    total = sum(one["requests"] for one in pool["backends"])
    names = [plain(one["name"]).plain for one in backends]
    states = [state(one) for one in backends]
    columns = [[heading, *(read(one, total) for one in backends)] for heading, read in _COLUMNS]
    first, second = max(map(len, ["backend", *names])), max(len("state"), *map(len, states))
    if trend is not None:
        columns.append(["trend", *(trend.of_backend(pool, one) for one in backends)])
    widths = [max(map(len, column)) for column in columns]
    numbers = ["  ".join(map(str.rjust, row, widths)) for row in zip(*columns, strict=True)]
    yield Text(f"  {'backend'.ljust(first)}  {'state'.ljust(second)}  {numbers[0]}", "dim")
    for name, shown, row, backend in zip(names, states, numbers[1:], backends, strict=True):
        shown.pad_right(second - len(shown))
        yield Text(f"  {name.ljust(first)}  ") + shown + plain(f"  {row}  {_why(pool, backend)}")
