from __future__ import annotations

import asyncio

import pytest

from lbproxy import reasons
from lbproxy.net.transport.poller import Poller
from lbproxy.net.transport.tunnel import Tunnel
from lbproxy.reasons import Reason
from tests.net.conftest import Open
from tests.net.peers import Recorder, let_expire, settled, until

PATIENCE = 60.0
MUCH = 1_000_000


class Joined:
    """A tunnel, its peers, and the reasons of which it told when it ended."""

    def __init__(self, open_stream: Open, early: bytes = b"", slow: str = "", paused: bool = False) -> None:
        """slow: for whom of "client" and "backend" the kernel holds a few KB only; paused: how both came here."""
        self.client, self.browser = open_stream(Recorder(), buffer=4096 if "client" in slow else 0)
        self.lane, self.backend = open_stream(Recorder(), buffer=4096 if "backend" in slow else 0)
        if paused:
            self.client.pause()
            self.lane.pause()
        self.ends: list[Reason] = []
        self.tunnel = Tunnel(self.client, self.lane, PATIENCE, self.ends.append, early)

    @property
    def closed(self) -> bool:
        return self.client.closed and self.lane.closed

    async def stands_still(self) -> None:
        await settled(lambda: [(stream.sent, stream.received) for stream in (self.client, self.lane)])


async def test_bytes_pass_both_ways(open_stream: Open) -> None:
    joined = Joined(open_stream, early=b"first words")
    await joined.browser.sees(b"first words")
    await joined.browser.send(b"hello")
    await joined.backend.sees(b"hello")
    await joined.backend.send(b"welcome")
    await joined.browser.sees(b"welcome")
    assert joined.ends == []


async def test_streams_that_were_paused_go_on(open_stream: Open) -> None:
    """The client may have been stopped for sending ahead of the switch."""
    joined = Joined(open_stream, paused=True)
    await joined.browser.send(b"hello")
    await joined.backend.sees(b"hello")
    await joined.backend.send(b"welcome")
    await joined.browser.sees(b"welcome")


@pytest.mark.parametrize("first", ["client", "backend"])
async def test_each_way_ends_by_itself(open_stream: Open, first: str) -> None:
    joined = Joined(open_stream)
    one, other = (joined.browser, joined.backend) if first == "client" else (joined.backend, joined.browser)
    await one.send(b"last words")
    one.finish()
    assert await other.rest() == b"last words"
    await other.send(b"a late answer")
    await one.sees(b"a late answer")
    assert joined.ends == []
    other.finish()
    assert await one.rest() == b""
    await until(lambda: joined.ends)
    assert joined.ends == [reasons.TUNNEL_DONE]
    assert joined.closed


@pytest.mark.parametrize("first", ["client", "backend"])
async def test_an_end_waits_until_what_came_before_is_read(open_stream: Open, first: str) -> None:
    joined = Joined(open_stream, slow="client and backend")
    one, other = (joined.browser, joined.backend) if first == "client" else (joined.backend, joined.browser)
    sending = asyncio.ensure_future(one.send(b"x" * MUCH))
    await joined.stands_still()
    assert not sending.done(), "memory is bounded"
    other.finish()
    await joined.stands_still()
    assert joined.ends == []
    await other.sees(b"x" * MUCH)
    await sending
    one.finish()
    assert await other.rest() == b""
    await until(lambda: joined.ends)
    assert joined.ends == [reasons.TUNNEL_DONE]


@pytest.mark.parametrize(
    ("who", "reason"), [("client", reasons.CLIENT_GONE), ("backend", reasons.TUNNEL_CUT)], ids=["client", "backend"]
)
@pytest.mark.parametrize("busy", ["nothing", "its own bytes", "the other's bytes"])
async def test_a_reset_ends_both_and_is_blamed_on_who_sent_it(
    open_stream: Open, who: str, reason: Reason, busy: str
) -> None:
    joined = Joined(open_stream)
    one, other = (joined.browser, joined.backend) if who == "client" else (joined.backend, joined.browser)
    stream = joined.client if who == "client" else joined.lane
    if busy == "its own bytes":
        await one.send(b"x" * 10_000)
    elif busy == "the other's bytes":
        stream.pause()  # it is noticed when something is sent there
        one.reset()
        await other.send(b"x")
    if busy != "the other's bytes":
        one.reset()
    await until(lambda: joined.ends)
    assert joined.ends == [reason]
    assert joined.closed
    await other.is_reset()


@pytest.mark.parametrize("who", ["client", "backend"])
async def test_who_has_said_all_may_leave_as_it_likes(open_stream: Open, who: str) -> None:
    """As after TLS: the other's goodbye comes too late, and is answered by a reset."""
    joined = Joined(open_stream)
    one, other = (joined.browser, joined.backend) if who == "client" else (joined.backend, joined.browser)
    await one.send(b"goodbye")
    one.finish()
    assert await other.rest() == b"goodbye"
    one.reset()
    await other.send(b"goodbye")
    await until(lambda: joined.ends)
    assert joined.ends == [reasons.TUNNEL_DONE]
    assert joined.closed


async def test_one_that_is_lost_with_a_queue(open_stream: Open) -> None:
    joined = Joined(open_stream, slow="client and backend")
    sending = asyncio.ensure_future(joined.backend.send(b"x" * MUCH))
    await joined.stands_still()
    joined.client.pause()
    joined.browser.reset()
    await until(lambda: joined.ends)
    assert joined.ends == [reasons.CLIENT_GONE]
    with pytest.raises(ConnectionError):
        await sending


async def test_silence_ends_it(open_stream: Open, poller: Poller) -> None:
    joined = Joined(open_stream)
    assert joined.client.deadline == joined.lane.deadline == poller.now + PATIENCE
    joined.lane.deadline = poller.now
    let_expire(poller, joined.client)
    assert joined.ends == [reasons.IDLE_TIMEOUT]
    assert joined.closed


@pytest.mark.parametrize("who", ["client", "backend"])
async def test_a_byte_either_way_keeps_it(open_stream: Open, poller: Poller, who: str) -> None:
    joined = Joined(open_stream)
    one, other = (joined.browser, joined.backend) if who == "client" else (joined.backend, joined.browser)
    joined.client.deadline = joined.lane.deadline = poller.now + 1
    await one.send(b"x")
    await other.sees(b"x")
    assert joined.client.deadline == joined.lane.deadline == poller.now + PATIENCE


async def test_a_slow_reader_keeps_it_too(open_stream: Open, poller: Poller) -> None:
    """What it read of the queue is progress, though nothing was received meanwhile."""
    joined = Joined(open_stream, slow="client")
    sending = asyncio.ensure_future(joined.backend.send(b"x" * 20 * MUCH))
    await joined.stands_still()
    joined.client.deadline = joined.lane.deadline = poller.now + 1
    sent = joined.client.sent
    while joined.client.sent == sent:
        await joined.browser.receive(1000)
    assert not joined.lane.reading
    let_expire(poller, joined.lane)
    assert joined.ends == []
    let_expire(poller, joined.client)
    assert joined.ends == [reasons.IDLE_TIMEOUT]
    with pytest.raises(ConnectionError):
        await sending


@pytest.mark.parametrize("ended", ["", "client", "backend"])
async def test_a_reader_that_stopped_does_not(open_stream: Open, poller: Poller, ended: str) -> None:
    joined = Joined(open_stream, slow="client and backend")
    sending = asyncio.ensure_future(joined.backend.send(b"x" * MUCH))
    await joined.stands_still()
    if ended == "client":
        joined.browser.finish()
    await joined.stands_still()
    assert joined.client.deadline
    assert joined.lane.deadline
    joined.lane.deadline = poller.now
    let_expire(poller, joined.client)
    assert joined.ends == [reasons.IDLE_TIMEOUT]
    sending.cancel()


async def test_it_can_be_stopped(open_stream: Open) -> None:
    joined = Joined(open_stream)
    joined.tunnel.stop(reasons.SHUTDOWN)
    joined.tunnel.stop(reasons.SHUTDOWN)
    assert joined.ends == [reasons.SHUTDOWN]
    await joined.browser.is_reset()
    await joined.backend.is_reset()


async def test_a_client_that_has_gone_before_it_began(open_stream: Open) -> None:
    client, browser = open_stream(Recorder())
    lane, _ = open_stream(Recorder())
    browser.reset()
    handler = client.handler
    assert isinstance(handler, Recorder)
    await until(lambda: handler.error)
    ends: list[Reason] = []
    Tunnel(client, lane, PATIENCE, ends.append, b"early")
    assert ends == [reasons.CLIENT_GONE]
    assert lane.closed


async def test_a_fault_ends_both(open_stream: Open, poller: Poller, caplog: pytest.LogCaptureFixture) -> None:
    joined = Joined(open_stream)
    joined.tunnel.crashed(joined.client, RuntimeError("a fault"))
    assert joined.ends == [reasons.INTERNAL]
    assert joined.closed
    assert [record.message for record in caplog.records] == ["fault"]
