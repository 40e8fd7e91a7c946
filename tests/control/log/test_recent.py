from __future__ import annotations

import asyncio
import logging
import threading

from lbproxy.control.log import event
from lbproxy.control.log.logged_event import KEPT, LoggedEvent
from lbproxy.control.log.recent import RecentEvents


def logger(ring: RecentEvents) -> logging.Logger:
    made = logging.Logger("lbproxy.test")
    made.addHandler(ring)
    return made


def numbers(ring: RecentEvents, after: int = 0) -> list[int]:
    return [one["number"] for one in ring.view(after)["events"]]


def test_the_last_ones_are_kept() -> None:
    ring = RecentEvents()
    log = logger(ring)
    for _ in range(KEPT + 5):
        event(log, logging.INFO, "tried")
    assert numbers(ring) == list(range(6, KEPT + 6))
    assert numbers(ring, KEPT + 3) == [KEPT + 4, KEPT + 5]
    assert numbers(ring, KEPT + 5) == []
    assert len(numbers(ring, KEPT + 6)) == KEPT, "whoever asks knows another process, which has ended"


def test_events_have_the_process_that_logged_them() -> None:
    ring = RecentEvents(process="generation 2")
    event(logger(ring), logging.WARNING, "backend_ejected", backend="c1")
    ring.put([LoggedEvent(5.0, "ERROR", "generation_died", {}, "master")])
    first, second = ring.view()["events"]
    assert (first["process"], first["level"], first["name"]) == ("generation 2", "WARNING", "backend_ejected")
    assert first["fields"] == {"backend": "c1"}
    assert second == {
        "number": 2, "at": 5.0, "level": "ERROR", "name": "generation_died", "fields": {}, "process": "master"
    }  # fmt: skip


def test_those_of_a_version_without_processes_have_none() -> None:
    ring = RecentEvents()
    event(logger(ring), logging.INFO, "first")
    before = ring.view()
    del before["events"][0]["process"]  # type: ignore[misc]  # as that version has it
    assert [one["process"] for one in RecentEvents(before).view()["events"]] == [""]


def test_they_are_passed_on_once_another_process_keeps_them_too() -> None:
    ring = RecentEvents(process="generation 1")
    told: list[str] = []
    event(logger(ring), logging.INFO, "before")
    ring.pass_on = lambda events: told.extend(one.name for one in events)
    event(logger(ring), logging.INFO, "own")
    ring.put([LoggedEvent(5.0, "INFO", "of_a_worker", {}, "worker")])
    ring.put([LoggedEvent(5.0, "INFO", "of_the_master", {}, "master")], pass_on=False)
    assert told == ["own", "of_a_worker"]
    assert numbers(ring) == [1, 2, 3, 4]


def test_the_next_generation_goes_on() -> None:
    ring = RecentEvents()
    event(logger(ring), logging.INFO, "first")
    after = RecentEvents(ring.view())
    event(logger(after), logging.INFO, "second")
    assert [(one["number"], one["name"]) for one in after.view()["events"]] == [(1, "first"), (2, "second")]


async def test_an_event_of_another_thread_wakes_those_who_wait() -> None:
    ring = RecentEvents()
    waiting = [asyncio.ensure_future(ring.wait(0, 60.0)) for _ in range(3)]
    await asyncio.sleep(0)  # each of them has had its turn
    assert len(ring.waiting) == 3
    thread = threading.Thread(target=lambda: event(logger(ring), logging.INFO, "said"))
    thread.start()
    assert [one["last"] for one in await asyncio.gather(*waiting)] == [1, 1, 1]
    thread.join()
    assert not ring.waiting


async def test_the_end_of_the_process_wakes_them_too() -> None:
    ring = RecentEvents()
    waiting = asyncio.ensure_future(ring.wait(0, 60.0))
    await asyncio.sleep(0)  # it has had its turn
    assert ring.waiting
    ring.stop()
    assert (await waiting)["events"] == []
    assert (await ring.wait(0, 60.0))["events"] == [], "and nobody waits any more"


async def test_a_wait_ends() -> None:
    assert (await RecentEvents().wait(0, 0.001))["events"] == []
