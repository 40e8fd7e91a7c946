from __future__ import annotations

import asyncio
import logging
import threading

from lbproxy.control.log import event
from lbproxy.control.log.forwarder import EventForwarder
from lbproxy.control.log.logged_event import KEPT, LoggedEvent


class Peer:
    """Gets what is sent, unless it is behind."""

    def __init__(self) -> None:
        self.behind = False
        self.messages: list[list[LoggedEvent]] = []
        self.came = asyncio.Event()
        self.forwarder = EventForwarder("worker", 0.001, self.take)
        self.log = logging.Logger("lbproxy.test")
        self.log.addHandler(self.forwarder)

    def take(self, events: list[LoggedEvent]) -> bool:
        self.came.set()
        if not self.behind:
            self.messages.append(events)
        return not self.behind

    async def asked(self) -> None:
        self.came.clear()
        await self.came.wait()


def names(events: list[LoggedEvent]) -> list[str]:
    return [one.name for one in events]


async def test_events_of_a_moment_are_one_message() -> None:
    peer = Peer()
    for name in ("first", "second"):
        event(peer.log, logging.INFO, name)
    await peer.asked()
    event(peer.log, logging.INFO, "third")
    await peer.asked()
    assert [names(one) for one in peer.messages] == [["first", "second"], ["third"]]
    assert {one.process for message in peer.messages for one in message} == {"worker"}


async def test_one_of_another_thread_is_told_too() -> None:
    peer = Peer()
    thread = threading.Thread(target=lambda: event(peer.log, logging.INFO, "said"))
    thread.start()
    await peer.asked()
    thread.join()
    assert names(peer.messages[0]) == ["said"]


async def test_while_the_other_one_is_behind_the_last_ones_wait() -> None:
    peer = Peer()
    peer.behind = True
    for number in range(KEPT + 5):
        event(peer.log, logging.INFO, "tried", number=number)
    await peer.asked()
    await peer.asked()  # it is tried again
    assert repr(peer.forwarder) == f"<forwarder of worker, {KEPT} events wait>"
    peer.behind = False
    await peer.asked()
    [message] = peer.messages
    assert [one.fields["number"] for one in message] == [str(number) for number in range(5, KEPT + 5)]


async def test_the_end_sends_what_waits() -> None:
    peer = Peer()
    event(peer.log, logging.INFO, "last")
    peer.forwarder.stop()
    assert names(peer.messages[0]) == ["last"]
    peer.forwarder.stop()
    assert len(peer.messages) == 1


async def test_what_is_taken_is_not_sent() -> None:
    peer = Peer()
    event(peer.log, logging.INFO, "last")
    assert names(peer.forwarder.take()) == ["last"]
    peer.forwarder.stop()
    assert peer.messages == []


def test_after_its_loop_nothing_is_raised() -> None:
    async def make() -> Peer:
        return Peer()

    peer = asyncio.run(make())
    event(peer.log, logging.INFO, "too_late")
    assert names(peer.forwarder.take()) == ["too_late"]
