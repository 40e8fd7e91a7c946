from __future__ import annotations

import asyncio
import logging
import threading

from lbproxy.control.log import event
from lbproxy.control.log.recent import KEPT, RecentEvents


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


def test_an_event_has_its_fields_and_a_sentence_its_logger() -> None:
    ring = RecentEvents()
    log = logger(ring)
    event(log, logging.WARNING, "backend_ejected", backend="c1", reason=None, age=1.5)
    log.error("Task was %s", "destroyed")
    event(log, logging.INFO, "long", text="x" * 10_000)
    first, second, third = ring.view()["events"]
    assert (first["level"], first["name"]) == ("WARNING", "backend_ejected")
    assert first["fields"] == {"backend": "c1", "age": "1.5"}
    assert (second["name"], second["fields"]) == ("lbproxy.test", {"message": "Task was destroyed"})
    assert len(third["fields"]["text"]) == 500


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
