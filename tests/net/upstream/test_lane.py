from __future__ import annotations

import errno
import math
import os
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import trustme

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.net.tls import BackendTls
from lbproxy.net.transport.descriptor_budget import DescriptorBudget
from lbproxy.net.transport.poller import Poller
from lbproxy.net.upstream.lane import ANYBODY, Lane, LaneOptions, Lanes, Personal, connect_reason
from lbproxy.reasons import Reason
from tests.net.peers import Peer, TlsPeer, let_expire, until

CONNECT_TIMEOUT, IDLE_TIMEOUT = 2.0, 4.0
STREAMS = 20

CA = trustme.CA()


class Waiting:
    """Who asked for a lane."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def lane_ready(self, lane: Lane) -> None:
        self.told.append(("ready", lane))

    def lane_unready(self, lane: Lane, reason: Reason, detail: str) -> None:
        self.told.append(("unready", reason, detail))

    def lane_gone(self, lane: Lane) -> None:
        self.told.append(("gone", lane))

    def broken(self, error: Exception) -> None:
        self.told.append(("broken", error))


class Faulty(Waiting):
    """Cannot bear to be told."""

    def lane_ready(self, lane: Lane) -> None:
        raise RuntimeError("a fault of ours")

    lane_gone = lane_ready

    def lane_unready(self, lane: Lane, reason: Reason, detail: str) -> None:
        self.lane_ready(lane)


class Place:
    """A backend's lanes, and the socket that it listens on."""

    def __init__(self, poller: Poller, tls: BackendTls | None) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        backend = Backend("c1", f"http://127.0.0.1:{self.listener.getsockname()[1]}")
        self.ends: dict[str, int] = {}
        options = LaneOptions(CONNECT_TIMEOUT, IDLE_TIMEOUT, tls, DescriptorBudget(poller, STREAMS))
        self.lanes = Lanes(backend, poller, options, self.ends)
        self.lanes.address = socket.AF_INET, self.listener.getsockname()
        self.waiter = Waiting()
        self.opened: list[Lane] = []
        self.peers: list[Peer] = []

    def open(self, personal: Personal = ANYBODY) -> Lane:
        lane = self.lanes.open(self.waiter, personal)
        assert isinstance(lane, Lane)
        self.opened.append(lane)
        return lane

    def accept(self) -> socket.socket:
        sock, _ = self.listener.accept()
        sock.setblocking(False)
        return sock

    async def ready(self) -> tuple[Lane, Peer]:
        """A plain lane that is connected, and its far end."""
        lane = self.open()
        self.peers.append(Peer(self.accept()))
        await until(lambda: ("ready", lane) in self.waiter.told)
        return lane, self.peers[-1]

    def close(self) -> None:
        for lane in self.opened:
            lane.close(reasons.LANE_DRAINED)
        for peer in self.peers:
            peer.close()
        self.listener.close()


Make = Callable[..., Place]


@pytest.fixture
async def place(poller: Poller) -> AsyncIterator[Make]:
    made: list[Place] = []

    def make(tls: BackendTls | None = None) -> Place:
        made.append(Place(poller, tls))
        return made[-1]

    yield make
    for each in made:
        each.close()


def towards_backends(server_name: str | None = None) -> BackendTls:
    with CA.cert_pem.tempfile() as ca:
        return BackendTls(Path(ca), verify=True, server_name=server_name)


def of_a_backend(*names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert(*names).configure_cert(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


# --- opening


async def test_a_lane_is_ready_once_it_is_connected(place: Make, poller: Poller) -> None:
    here = place()
    lane = here.open()
    assert here.waiter.told == []
    assert lane.stream.deadline == poller.now + CONNECT_TIMEOUT
    await until(lambda: here.waiter.told == [("ready", lane)])
    assert lane.stream.deadline == 0
    assert lane.stream.reading
    assert here.lanes.backend.lanes_opened == 1
    assert repr(lane) == "<shared lane to c1, 0 requests>"


async def test_a_refused_connect(place: Make) -> None:
    here = place()
    here.listener.close()
    opened = here.lanes.open(here.waiter)
    if isinstance(opened, Lane):  # the kernel may tell later
        await until(lambda: here.waiter.told)
        assert here.waiter.told == [("unready", reasons.CONNECT_REFUSED, "Connection refused")]
        assert here.ends == {"connect_refused": 1}
        assert opened.closed
    else:
        assert opened == (reasons.CONNECT_REFUSED, "Connection refused")


async def test_a_backend_that_goes_before_it_has_its_header(place: Make) -> None:
    """Its reset comes between the look at the connect's end and the first byte."""
    here = place()
    lane = here.open(Personal(b"PROXY UNKNOWN\r\n"))
    Peer(here.accept()).reset()
    lane.connected(lane.stream)
    assert here.waiter.told == [("unready", reasons.CONNECT_FAILED, "Connection reset by peer")]


async def test_a_connect_that_takes_too_long(place: Make, poller: Poller) -> None:
    here = place()
    lane = here.open()
    let_expire(poller, lane.stream)
    assert here.waiter.told == [("unready", reasons.CONNECT_TIMEOUT, "no connection after 2 s")]
    assert lane.closed


async def test_a_backend_without_an_address(place: Make) -> None:
    here = place()
    here.lanes.address = None
    assert here.lanes.open(here.waiter) == (reasons.CONNECT_FAILED, "127.0.0.1 has no address")


async def test_an_address_that_cannot_be_reached(place: Make) -> None:
    here = place()
    here.lanes.address = socket.AF_INET, ("255.255.255.255", 9)
    opened = here.lanes.open(here.waiter)
    assert isinstance(opened, tuple)
    assert opened[0] is reasons.CONNECT_FAILED


@pytest.fixture
def no_descriptors() -> Iterator[None]:
    """Every descriptor that the process may have is in use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_no_descriptor_is_our_own_fault(place: Make, request: pytest.FixtureRequest) -> None:
    here = place()
    request.getfixturevalue("no_descriptors")
    assert here.lanes.open(here.waiter) == (reasons.LOCAL_RESOURCES, "Too many open files")


async def test_what_is_left_for_probes_is_not_for_lanes(place: Make) -> None:
    here = place()
    for _ in range(STREAMS):
        here.open()
    detail = "what is left of the descriptors is for probes"
    assert here.lanes.open(here.waiter) == (reasons.LOCAL_RESOURCES, detail)
    here.opened[0].close(None)
    here.open()


async def test_a_lane_that_is_closed_while_it_is_opened_tells_nobody(place: Make, poller: Poller) -> None:
    here = place()
    here.open().close(None)
    other = here.open()
    await until(lambda: here.waiter.told == [("ready", other)])
    assert here.ends == {}, "the request that waited for it has its own end"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ECONNREFUSED, reasons.CONNECT_REFUSED),
        (errno.ETIMEDOUT, reasons.CONNECT_TIMEOUT),
        (errno.EHOSTUNREACH, reasons.CONNECT_FAILED),
        (errno.ECONNRESET, reasons.CONNECT_FAILED),
        (errno.EADDRNOTAVAIL, reasons.LOCAL_RESOURCES),
        (errno.EMFILE, reasons.LOCAL_RESOURCES),
        (None, reasons.CONNECT_FAILED),
    ],
)
def test_reasons_of_failed_connects(code: int | None, reason: Reason) -> None:
    assert connect_reason(code) is reason


# --- TLS


async def test_a_tls_lane_is_ready_after_its_handshake(place: Make, poller: Poller) -> None:
    here = place(towards_backends("login.corp.example"))
    lane = here.open()
    peer = TlsPeer(here.accept(), of_a_backend("login.corp.example"))
    here.peers.append(peer)
    assert here.waiter.told == []
    await peer.shake_hands()
    await until(lambda: here.waiter.told == [("ready", lane)])
    assert isinstance(lane.stream.tls, ssl.SSLSocket)
    assert lane.stream.tls.selected_alpn_protocol() == "http/1.1"
    lane.rest()
    lane.stream.write(b"GET")
    await peer.sees(b"GET")
    assert not lane.closed, "session tickets are not junk"
    assert lane.stream.received == 0


async def test_tls_expects_the_name_of_the_url_by_default(place: Make) -> None:
    here = place(towards_backends())
    lane = here.open()
    peer = TlsPeer(here.accept(), of_a_backend("127.0.0.1"))
    here.peers.append(peer)
    await peer.shake_hands()
    await until(lambda: here.waiter.told == [("ready", lane)])


async def test_tls_refuses_another_name(place: Make) -> None:
    here = place(towards_backends("login.corp.example"))
    lane = here.open()
    peer = TlsPeer(here.accept(), of_a_backend("another.corp.example"))
    here.peers.append(peer)
    with pytest.raises(ssl.SSLError):
        await peer.shake_hands()
    await until(lambda: here.waiter.told)
    [(told, reason, detail)] = here.waiter.told
    assert (told, reason) == ("unready", reasons.CONNECT_TLS)
    assert detail == ("certificate: Hostname mismatch, certificate is not valid for 'login.corp.example'.")
    assert lane.closed
    assert (here.lanes.handshakes, here.lanes.handshakes_failed) == (0, 1)


@pytest.mark.parametrize("how", ["plain", "closed", "reset", "silent"])
async def test_a_backend_that_does_not_speak_tls(place: Make, poller: Poller, how: str) -> None:
    here = place(towards_backends())
    lane = here.open()
    peer = Peer(here.accept())
    here.peers.append(peer)
    await peer.receive()  # the ClientHello
    if how == "plain":
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    elif how == "closed":
        peer.finish()
    elif how == "reset":
        peer.reset()
    else:
        let_expire(poller, lane.stream)
    await until(lambda: here.waiter.told)
    reason = {"reset": reasons.CONNECT_FAILED, "silent": reasons.CONNECT_TIMEOUT}.get(how, reasons.CONNECT_TLS)
    assert here.waiter.told[0][:2] == ("unready", reason)
    assert lane.closed


async def test_a_backend_that_resets_at_once(place: Make, poller: Poller) -> None:
    here = place(towards_backends())
    lane = here.open()
    Peer(here.accept()).reset()
    await until(lambda: here.waiter.told)
    assert here.waiter.told[0][:2] == ("unready", reasons.CONNECT_FAILED)
    assert lane.closed


# --- idle lanes


async def test_the_lane_used_last_is_taken_first(place: Make, poller: Poller) -> None:
    here = place()
    first, _ = await here.ready()
    second, _ = await here.ready()
    assert here.lanes.take() is None
    first.rest()
    second.rest()
    assert first.stream.deadline == poller.now + IDLE_TIMEOUT
    assert repr(here.lanes) == "<lanes to c1: 2 idle, 0 private>"
    assert [here.lanes.take(), here.lanes.take(), here.lanes.take()] == [second, first, None]


async def test_an_idle_lane_retires(place: Make, poller: Poller) -> None:
    here = place()
    lane, peer = await here.ready()
    lane.rest()
    let_expire(poller, lane.stream)
    assert here.lanes.take() is None
    assert here.ends == {"lane_retired": 1}
    assert await peer.rest() == b""


@pytest.mark.parametrize(
    ("how", "label"), [("closed", "lane_closed"), ("reset", "lane_closed"), ("speaks", "lane_junk")]
)
async def test_an_idle_lane_that_its_backend_ends(place: Make, how: str, label: str) -> None:
    here = place()
    lane, peer = await here.ready()
    lane.rest()
    if how == "speaks":
        await peer.send(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    elif how == "reset":
        peer.reset()
    else:
        peer.finish()
    await until(lambda: lane.closed)
    assert here.ends == {label: 1}
    assert here.lanes.take() is None
    assert len(here.lanes.idle) == 0
    assert here.waiter.told == [("ready", lane)], "a shared lane is nobody's"


async def test_lanes_that_ended_in_between_are_passed_over(place: Make) -> None:
    here = place()
    lanes = [(await here.ready())[0] for _ in range(4)]
    for lane in lanes:
        lane.rest()
    lanes[1].close(reasons.LANE_CLOSED)
    lanes[3].close(reasons.LANE_CLOSED)
    assert [here.lanes.take(), here.lanes.take(), here.lanes.take()] == [lanes[2], lanes[0], None]


async def test_an_ejected_backend_loses_its_idle_lanes(place: Make) -> None:
    here = place()
    idle, busy = (await here.ready())[0], (await here.ready())[0]
    idle.rest()
    here.lanes.close_idle(reasons.LANE_EJECTED)
    assert (idle.closed, busy.closed) == (True, False)
    assert here.ends == {"lane_ejected": 1}


async def test_a_lane_ends_once(place: Make) -> None:
    here = place()
    lane, _ = await here.ready()
    lane.claim(here.waiter)
    lane.close(reasons.LANE_CLOSED)
    lane.close(reasons.LANE_RETIRED)
    assert here.ends == {"lane_closed": 1}
    assert here.lanes.private == 0


# --- private lanes


async def test_a_private_lane_rests_with_its_owner(place: Make) -> None:
    here = place()
    lane, _ = await here.ready()
    assert not lane.private
    lane.claim(here.waiter)
    lane.claim(Waiting())
    assert lane.private
    assert lane.owner is here.waiter
    assert here.lanes.private == 1
    assert repr(lane) == "<private lane to c1, 0 requests>"
    lane.rest()
    assert here.lanes.take() is None
    assert lane.stream.deadline == math.inf


@pytest.mark.parametrize("junk", [b"", b"bytes"])
async def test_the_owner_is_told_of_its_end(place: Make, junk: bytes) -> None:
    here = place()
    lane, peer = await here.ready()
    owner = Waiting()
    lane.claim(owner)
    lane.rest()
    await peer.send(junk)
    peer.finish()
    await until(lambda: owner.told == [("gone", lane)])
    assert lane.closed
    assert here.lanes.private == 0


# --- faults of ours


@pytest.mark.parametrize("event", ["ready", "unready", "gone"])
async def test_a_fault_in_what_is_told_is_told_too(place: Make, poller: Poller, event: str) -> None:
    here = place()
    here.waiter = Faulty()
    lane = here.open()
    if event == "unready":
        let_expire(poller, lane.stream)
    else:
        peer = Peer(here.accept())
        here.peers.append(peer)
        await until(lambda: here.waiter.told)
        if event == "gone":
            lane.claim(here.waiter)
            lane.rest()
            here.waiter.told.clear()
            peer.close()
    await until(lambda: [name for name, *_ in here.waiter.told] == ["broken"])


async def test_a_fault_while_it_is_opened_is_told_to_who_waits(place: Make) -> None:
    here = place()
    lane = here.open()
    lane.crashed(lane.stream, RuntimeError("a fault of ours"))
    assert here.waiter.told == [("unready", reasons.INTERNAL, "the log has the traceback")]
    assert (lane.closed, here.ends) == (True, {"internal": 1})


async def test_a_fault_while_it_rests_is_told_to_its_owner(place: Make) -> None:
    here = place()
    lane, _ = await here.ready()
    lane.claim(here.waiter)
    lane.rest()
    lane.crashed(lane.stream, RuntimeError("a fault of ours"))
    assert here.waiter.told[1:] == [("gone", lane)]
    assert here.lanes.private == 0
