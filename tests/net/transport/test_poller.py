"""The clock, and what becomes of a handler's faults."""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import suppress

import pytest

from lbproxy.net.transport.poller import Handler, Poller, monotonic
from lbproxy.net.transport.stream import Stream
from tests.net.conftest import Open
from tests.net.peers import Peer, Recorder, fill, until

WHOLE = 65536
"""Bytes of the buffer that all streams receive into."""

A_TURN = 32
"""Events of large transfers that are handled in one turn of the loop."""

TRANSFERS = 3 * A_TURN


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


# --- who is handled first


class Turns(Recorder):
    """Writes itself into `order` whenever it is its turn."""

    def __init__(self, order: list[Handler]) -> None:
        super().__init__()
        self.order = order

    def readable(self, stream: Stream) -> None:
        self.order.append(self)
        stream.read()


class Endless(Turns):
    """The near end of a transfer that never ends."""

    peer: Peer

    def begin(self, stream: Stream, peer: Peer) -> None:
        self.peer = peer
        peer.sock.send(bytes(4 * WHOLE))

    def readable(self, stream: Stream) -> None:
        self.order.append(self)
        data = stream.read()
        assert data
        self.peer.sock.send(data)


class Overfull(Endless):
    """The same in the other direction: its send queue is filled as soon as it is empty."""

    def begin(self, stream: Stream, peer: Peer) -> None:
        self.peer = peer
        fill(stream)
        drain(peer)

    def writable(self, stream: Stream) -> None:
        self.order.append(self)
        drain(self.peer)
        fill(stream)


def drain(peer: Peer) -> None:
    """Read everything that is there."""
    with suppress(BlockingIOError):
        while peer.sock.recv(1 << 20):
            pass


async def transfers(open_stream: Open, kind: type[Endless]) -> list[Handler]:
    """TRANSFERS large ones that go on and on; the list tells whose turn it was, again and again."""
    order: list[Handler] = []
    for _ in range(TRANSFERS):
        handler = kind(order)
        handler.begin(*open_stream(handler, 2 * WHOLE))
    await until(lambda: len(order) >= 4 * TRANSFERS)  # by now each one is known to be large
    return order


async def waits_for_few(order: list[Handler], handler: Handler, peer: Peer) -> None:
    """A small message to `handler` waits for the transfers of one turn of the loop at most; several times."""
    for _ in range(3):
        order.clear()
        peer.sock.send(b"x")
        await until(lambda: handler in order)
        assert order.index(handler) <= A_TURN


@pytest.mark.parametrize("kind", [Endless, Overfull])
async def test_a_small_message_does_not_wait_for_all_transfers(open_stream: Open, kind: type[Endless]) -> None:
    order = await transfers(open_stream, kind)
    small = Turns(order)
    _, peer = open_stream(small)
    await waits_for_few(order, small, peer)


async def test_each_transfer_has_its_turn(open_stream: Open) -> None:
    order = await transfers(open_stream, Endless)
    order.clear()
    await until(lambda: len(order) >= 20 * TRANSFERS)
    counts = Counter(map(id, order[: 20 * TRANSFERS]))
    assert len(counts) == TRANSFERS
    assert max(counts.values()) - min(counts.values()) <= 2


@pytest.mark.parametrize("told_by", ["a small message", "its next owner"])
async def test_a_transfer_that_is_over_is_forgotten(open_stream: Open, told_by: str) -> None:
    """A stream that was in the middle of something large is handled with the small ones from then on."""
    order = await transfers(open_stream, Endless)
    stream, peer = open_stream(Recorder())
    await peer.send(bytes(4 * WHOLE))
    await until(lambda: stream.received == 4 * WHOLE)
    later = Turns(order)
    if told_by == "a small message":
        await peer.send(b"x")
        await until(lambda: stream.received > 4 * WHOLE)
        stream.handler = later
    else:
        stream.watch(later, 0)
    await waits_for_few(order, later, peer)
