"""The clock, and what becomes of a handler's faults."""

from __future__ import annotations

import logging

import pytest

from lbproxy.net.transport.poller import Handler, Poller, monotonic
from lbproxy.net.transport.stream import Stream
from tests.net.conftest import Open
from tests.net.peers import Recorder, until


async def test_a_fault_in_a_handler_ends_its_stream_only(
    open_stream: Open, poller: Poller, caplog: pytest.LogCaptureFixture
) -> None:
    class Faulty(Recorder):
        def readable(self, stream: Stream) -> None:
            raise RuntimeError("a fault of ours")

        def crashed(self, stream: Stream, error: object) -> None:
            super().crashed(stream, error)
            self.note("crashed")

        expired = readable

    handler = Faulty()
    _, peer = open_stream(handler)
    stream, _ = open_stream(handler)
    await peer.send(b"x")
    await until(lambda: handler.told == ["crashed"])
    await peer.is_reset()
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == ["fault"]
    assert not stream.closed
    stream.deadline = poller.now
    poller.tick()
    assert handler.told == ["crashed", "crashed"]
    assert stream.closed


async def test_a_handler_that_forgot_something_is_told(poller: Poller, open_stream: Open) -> None:
    stream, _ = open_stream(Handler())
    for call in (stream.handler.readable, stream.handler.connected, stream.handler.secured, stream.handler.expired):
        with pytest.raises(NotImplementedError):
            call(stream)
    with pytest.raises(NotImplementedError):
        stream.handler.lost(stream, None)
    stream.handler.writable(stream)


async def test_the_clock_tells_only_those_who_are_late(open_stream: Open, poller: Poller) -> None:
    late, early, none = Recorder(), Recorder(), Recorder()
    open_stream(late)[0].deadline = poller.now
    open_stream(early)[0].deadline = poller.now + 3600
    open_stream(none)
    before = monotonic()
    poller.tick()
    assert before <= poller.now <= monotonic()
    assert (late.told, early.told, none.told) == (["expired"], [], [])


async def test_a_late_stream_that_another_one_closed_is_not_told(open_stream: Open, poller: Poller) -> None:
    class Closer(Recorder):
        def __init__(self, streams: list[Stream]) -> None:
            super().__init__()
            self.streams = streams

        def expired(self, stream: Stream) -> None:
            self.note("expired")
            for each in self.streams:
                each.close()

    streams: list[Stream] = []
    handler = Closer(streams)
    streams += [open_stream(handler)[0] for _ in range(3)]
    for stream in streams:
        stream.deadline = poller.now
    poller.tick()
    assert handler.told == ["expired"]


async def test_a_stream_that_would_wait_for_ever_is_a_fault(
    open_stream: Open, poller: Poller, caplog: pytest.LogCaptureFixture
) -> None:
    class Forgetful(Recorder):
        def covered(self, stream: Stream) -> bool:
            return Handler.covered(self, stream)

    stream, peer = open_stream(Forgetful())
    stream.deadline = poller.now + 3600
    poller.tick()
    assert not stream.closed
    stream.deadline = 0
    poller.tick()
    await peer.is_reset()
    assert [record.message for record in caplog.records] == ["fault"]
