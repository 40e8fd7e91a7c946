from __future__ import annotations

import pytest

from lbproxy.net.transport.lingering_close import LINGER, LINGER_BYTES, LingeringClose
from lbproxy.net.transport.poller import Poller
from lbproxy.net.transport.stream import Stream
from tests.net.conftest import Open
from tests.net.peers import Recorder, let_expire, until

PATIENCE = 60.0


class Done:
    """Counts how often it is called."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def queue(stream: Stream) -> bytes:
    """More than the kernel takes."""
    written = b"an answer " * 100_000
    assert not stream.write(written)
    return written


async def test_closes_at_once(open_stream: Open) -> None:
    stream, peer = open_stream(Recorder())
    done = Done()
    stream.write(b"last")
    LingeringClose(stream, False, done)
    assert (stream.closed, done.times) == (True, 1)
    assert await peer.rest() == b"last"


@pytest.mark.parametrize("gently", [False, True])
async def test_sends_what_is_queued_first(open_stream: Open, poller: Poller, gently: bool) -> None:
    stream, peer = open_stream(Recorder(), buffer=4096)
    done = Done()
    stream.patience = PATIENCE
    written = queue(stream)
    stream.deadline = 0
    LingeringClose(stream, gently, done)
    assert stream.deadline == poller.now + PATIENCE
    assert not stream.closed
    assert await peer.rest() == written
    assert stream.closed is not gently
    peer.finish()
    await until(lambda: done.times)
    assert (stream.closed, done.times) == (True, 1)


async def test_gently_reads_on_so_that_no_reset_overtakes_the_answer(open_stream: Open, poller: Poller) -> None:
    stream, peer = open_stream(Recorder())
    done = Done()
    stream.pause()
    await peer.send(b"x" * 1_000_000)
    stream.write(b"no")
    LingeringClose(stream, True, done)
    assert stream.deadline == poller.now + LINGER
    await peer.send(b"x" * 3_000_000)
    assert await peer.rest() == b"no"
    assert done.times == 0
    peer.finish()
    await until(lambda: done.times)
    assert (stream.closed, stream.received) == (True, 4_000_000)


async def test_a_client_that_stays_is_closed(open_stream: Open, poller: Poller) -> None:
    stream, _ = open_stream(Recorder())
    done = Done()
    LingeringClose(stream, True, done)
    let_expire(poller, stream)
    assert (stream.closed, done.times) == (True, 1)


async def test_a_client_that_sends_without_end_is_closed(open_stream: Open) -> None:
    stream, peer = open_stream(Recorder())
    done = Done()
    LingeringClose(stream, True, done)
    with pytest.raises(ConnectionError):
        await peer.send(b"x" * 2 * LINGER_BYTES)
    assert LINGER_BYTES < stream.received <= LINGER_BYTES + 65536
    assert (stream.closed, done.times) == (True, 1)


@pytest.mark.parametrize("gently", [False, True])
async def test_a_client_that_reads_nothing_is_closed(open_stream: Open, poller: Poller, gently: bool) -> None:
    stream, _ = open_stream(Recorder(), buffer=4096)
    done = Done()
    stream.patience = PATIENCE
    queue(stream)
    LingeringClose(stream, gently, done)
    let_expire(poller, stream)
    assert (stream.closed, done.times) == (True, 1)


@pytest.mark.parametrize("how", ["closed", "reset"])
@pytest.mark.parametrize("reading", [True, False])
async def test_a_client_that_leaves_before_it_has_read(open_stream: Open, how: str, reading: bool) -> None:
    stream, peer = open_stream(Recorder(), buffer=4096)
    done = Done()
    stream.patience = PATIENCE
    queue(stream)
    if not reading:
        stream.pause()
    LingeringClose(stream, True, done)
    peer.close() if how == "closed" else peer.reset()
    await until(lambda: done.times)
    assert (stream.closed, done.times) == (True, 1)


async def test_a_fault_of_ours_ends_it(open_stream: Open) -> None:
    stream, peer = open_stream(Recorder())
    done = Done()
    LingeringClose(stream, True, done)
    stream.handler.crashed(stream, RuntimeError("a fault of ours"))
    assert (stream.closed, done.times) == (True, 1)
    assert await peer.rest() == b""
