from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack

from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Rules
from lbproxy.balance.pool import Pool
from lbproxy.control.log import event
from lbproxy.control.log.logged_event import LoggedEvent
from lbproxy.control.log.recent import RecentEvents
from lbproxy.process.generation.lately import Lately
from lbproxy.status.windows import Windows

log = logging.getLogger(__name__)


def made(events: RecentEvents | None = None) -> Lately:
    return Lately({}, Windows({}, lambda *_: {}), lambda *_: {}, None, events)


def seen(lately: Lately) -> list[tuple[str, str]]:
    return [(one["process"], one["name"]) for one in lately.events.view()["events"]]


async def test_events_of_other_processes_are_among_its_own() -> None:
    lately = made(RecentEvents(process="generation 3"))
    lately.of_worker(1, [LoggedEvent(1.0, "INFO", "unraisable", {}, "worker")])
    lately.of_others([LoggedEvent(2.0, "INFO", "generation_serves", {}, "master")])
    assert seen(lately) == [("generation 3 worker 1", "unraisable"), ("master", "generation_serves")]


async def test_what_follows_a_handover_is_relayed_but_for_what_the_master_tells_itself() -> None:
    lately = made(RecentEvents(process="generation 1"))
    relayed: list[LoggedEvent] = []

    def relay(events: list[LoggedEvent]) -> bool:
        relayed.extend(events)
        return True

    lately.of_worker(0, [LoggedEvent(1.0, "INFO", "before", {}, "worker")])
    lately.hand_over(relay)
    lately.hand_over(relay)  # a second reload, after one that has failed
    lately.of_worker(0, [LoggedEvent(1.0, "INFO", "connections_cut", {}, "worker")])
    lately.of_others([LoggedEvent(2.0, "INFO", "generation_serves", {}, "master")])
    lately.finish()
    assert [(one.process, one.name) for one in relayed] == [("generation 1 worker 0", "connections_cut")]


async def test_one_that_left_nothing_to_a_next_one_just_ends() -> None:
    made().finish()


async def test_notes_until_the_generation_ends() -> None:
    pools = {"p": Pool("p", [Backend("c1", "http://c1:80")], Rules(), "refuse")}
    lately = Lately(pools, Windows(pools, lambda *_: {}), lambda *_: {}, None)
    ticks: list[Callable[[float], None]] = []
    async with AsyncExitStack() as stack:
        lately.start(stack, ticks)
        event(log, logging.WARNING, "tried")
        for now in (0.0, 61.0):
            for tick in ticks:
                tick(now)
        assert (await lately.events_after(0, 0.0))["last"] == 1
        assert [*lately.last_hour("p", "c1")["backends"]] == ["p/c1"]
    event(log, logging.WARNING, "too late")
    assert (await lately.events_after(1, 0.0))["events"] == []
