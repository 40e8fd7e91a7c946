"""Modes tcp and sni, over real connections."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from lbproxy import reasons
from lbproxy.balance.backend import State
from lbproxy.balance.health import Rules
from lbproxy.balance.pool import Pool
from lbproxy.net.listener.listener import Listener, ListenerOptions
from lbproxy.net.passthrough.connection import PassOptions, PassService, PassthroughConnection, Routes
from lbproxy.net.transport.poller import Poller
from lbproxy.net.upstream.lane import Lane, Waiter
from lbproxy.record import Record
from lbproxy.wire.clienthello import DECODE_ERROR, INTERNAL_ERROR, MISSING_EXTENSION, UNRECOGNIZED_NAME, alert
from lbproxy.wire.proxyproto import encode
from tests.balance.heard import Verdicts
from tests.net.listener_fixture import Place
from tests.net.peers import Peer, TlsPeer, let_expire, settled, turn, until

CA = trustme.CA()
IDLE_TIMEOUT, HEADER_TIMEOUT = 60.0, 10.0


class Passing:
    """A tcp listener, or one of mode sni for "a.test", in front of backends whose every byte is the test's.

    The pool has `web` more of them, which are there for requests.
    """

    def __init__(
        self, poller: Poller, backends: int, sni: bool, version: Any = None, web: int = 0, **options: Any
    ) -> None:
        ends: dict[str, int] = {}
        self.poller = poller
        schemes = [*["tcp"] * backends, *["https"] * web]
        self.places = [Place(f"c{number}", poller, ends, scheme) for number, scheme in enumerate(schemes, 1)]
        self.backends = [place.backend for place in self.places]
        self.pool = Pool("connectors", self.backends, Rules(rise=2, consecutive_errors=3), "refuse")
        for backend in self.backends:
            self.pool.probed(backend, True, "", poller.now)
        self.records: list[Record] = []
        routes = Routes(None, {"a.test": self.pool, "*.wild.test": self.pool}) if sni else Routes(self.pool)
        pass_options = PassOptions(HEADER_TIMEOUT, IDLE_TIMEOUT, True, {self.pool: version} if version else None)
        service = PassService(pass_options, poller, routes, self.records.append)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.setblocking(False)
        made = ListenerOptions(**{"name": "raw", "max_connections": 100, **options})
        self.listener = Listener(made, self.socket, poller, service)
        self.listener.start()
        self.clients: list[Peer] = []

    async def connect(self) -> Peer:
        sock = socket.socket()
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, self.socket.getsockname())
        self.clients.append(Peer(sock))
        return self.clients[-1]

    @property
    def connection(self) -> PassthroughConnection:
        [connection] = self.listener.connections
        assert isinstance(connection, PassthroughConnection)
        return connection

    async def ended(self) -> Record:
        """The record of the only connection."""
        await until(lambda: self.records and not self.listener.connections)
        [record] = self.records
        return record

    async def close(self) -> None:
        for peer in self.clients:
            peer.close()
        for place in self.places:
            place.close()
        await until(lambda: not self.listener.connections)
        self.listener.stop(reasons.SHUTDOWN)
        self.socket.close()
        assert [backend.active for backend in self.backends] == [0] * len(self.backends)
        assert [backend.lanes.private for backend in self.backends] == [0] * len(self.backends)


Build = Callable[..., Passing]


@pytest.fixture
async def passing(poller: Poller) -> AsyncIterator[Build]:
    """`passing(backends=1, sni=False, **options of the listener)`."""
    built: list[Passing] = []

    def build(backends: int = 1, sni: bool = False, **options: Any) -> Passing:
        built.append(Passing(poller, backends, sni, **options))
        return built[-1]

    yield build
    for each in built:
        await each.close()


# --- mode tcp


async def test_bytes_pass_both_ways_and_each_way_ends_by_itself(passing: Build) -> None:
    home = passing()
    client = await home.connect()
    lane = await home.places[0].lane()
    await lane.send(b"220 hello\r\n")  # a server that speaks first
    await client.sees(b"220 hello\r\n")
    await client.send(b"\x00\xff" * 1000)
    assert home.backends[0].lanes.tunnels == 1
    client.finish()
    assert await lane.rest() == b"\x00\xff" * 1000
    await lane.send(b"bye")
    lane.finish()
    assert await client.rest() == b"bye"
    record = await home.ended()
    assert (record.reason, record.backend, record.protocol) == ("tunnel_done", "c1", "TCP")
    assert (record.bytes_in, record.bytes_out) == (2000, 14)
    assert (home.backends[0].requests, home.backends[0].lanes.tunnels) == (1, 0)


async def test_connections_take_turns(passing: Build) -> None:
    home = passing(3)
    for number in (0, 1, 2, 0, 1, 2):
        client = await home.connect()
        lane = await home.places[number].lane()
        await client.send(b"x")
        await lane.sees(b"x")
    assert home.listener.service.requests == 6


@pytest.mark.parametrize("sni", [False, True])
async def test_backends_for_requests_are_passed_over(passing: Build, sni: bool) -> None:
    home = passing(2, sni, web=2)
    for number in (0, 1, 0, 1):
        client = await home.connect()
        await client.send(hello("a.test"))
        await (await home.places[number].lane()).sees(b"\x16\x03\x01")
    assert [backend.lanes_opened for backend in home.backends] == [2, 2, 0, 0]
    assert [backend.in_rotation for backend in home.backends] == [True] * 4


async def test_a_refused_connect_costs_no_byte(passing: Build) -> None:
    home = passing(2)
    home.places[0].listener.close()
    client = await home.connect()
    await client.send(b"precious")
    await (await home.places[1].lane()).sees(b"precious")
    assert home.backends[0].state is State.DOWN
    assert home.backends[0].connect_failures == 1


async def test_a_connect_that_times_out(passing: Build, poller: Poller) -> None:
    home = passing(2)
    with home.places[0].accepts_nobody():
        client = await home.connect()
        await until(lambda: home.listener.connections and home.connection._lane)
        assert home.connection._lane is not None
        let_expire(poller, home.connection._lane.stream)
        await client.send(b"precious")
        await (await home.places[1].lane()).sees(b"precious")
    assert home.backends[0].reason is reasons.CONNECT_TIMEOUT


async def test_nobody_to_pass_to_is_a_reset(passing: Build) -> None:
    home = passing()
    home.places[0].listener.close()
    client = await home.connect()
    await client.is_reset()
    record = await home.ended()
    assert (record.reason, record.tries, record.backend) == ("no_backend", 1, "")
    assert home.listener.ends == {"no_backend": 1}


async def test_a_slow_reader_slows_the_other_end(passing: Build) -> None:
    home = passing()
    client = await home.connect()
    lane = await home.places[0].lane()
    sending = asyncio.ensure_future(lane.send(b"x" * 20_000_000))
    await settled(lambda: home.backends[0].active and home.connection.stream.sent)
    assert not sending.done()
    assert len(await client.exactly(20_000_000)) == 20_000_000
    await sending


async def test_a_backend_that_breaks_off_is_a_reset_and_a_suspicion(passing: Build) -> None:
    home = passing()
    suspected: list[object] = []
    home.pool.observers.append(Verdicts(lambda backend, change, reason, detail: suspected.append(reason)))
    client = await home.connect()
    lane = await home.places[0].lane()
    await client.send(b"x")
    await lane.sees(b"x")
    lane.reset()
    await client.is_reset()
    assert (await home.ended()).reason == "tunnel_cut"
    assert suspected == [reasons.TUNNEL_CUT]


async def test_an_idle_connection_ends(passing: Build, poller: Poller) -> None:
    home = passing()
    client = await home.connect()
    lane = await home.places[0].lane()
    await client.send(b"x")
    await lane.sees(b"x")
    assert home.connection._lane is not None
    home.connection._lane.stream.deadline = poller.now
    let_expire(poller, home.connection.stream)
    await client.is_reset()
    await lane.is_reset()
    assert (await home.ended()).reason == "idle_timeout"


async def test_a_drain_lets_it_go_on_and_a_stop_does_not(passing: Build) -> None:
    home = passing()
    client = await home.connect()
    lane = await home.places[0].lane()
    await client.send(b"x")
    await lane.sees(b"x")
    home.listener.drain()
    await client.send(b"y")
    await lane.sees(b"y")
    home.listener.stop(reasons.SHUTDOWN)
    await client.is_reset()
    assert (await home.ended()).reason == "shutdown"


async def test_stop_while_it_connects(passing: Build) -> None:
    home = passing()
    with home.places[0].accepts_nobody():
        client = await home.connect()
        await until(lambda: home.listener.connections and home.connection._lane)
        home.listener.stop(reasons.SHUTDOWN)
        await client.is_reset()
    assert home.backends[0].active == 0


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_backend_is_told_the_client(passing: Build, version: Any) -> None:
    home = passing(version=version)
    client = await home.connect()
    lane = await home.places[0].lane()
    await client.send(b"x")
    await lane.sees(encode(version, client.sock.getsockname(), home.socket.getsockname()) + b"x")


async def test_connections_from_an_address_are_limited(passing: Build) -> None:
    home = passing(max_per_address=1)
    await home.connect()
    await until(lambda: home.listener.accepted)
    other = await home.connect()
    assert await other.rest() == b""
    assert home.listener.refused == {"too_many_from_address": 1}


# --- mode sni


def hello(server_name: str | None) -> bytes:
    """The ClientHello of a real client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=server_name).do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("pieces", ["whole", "bytes"])
async def test_a_client_verifies_the_backends_own_certificate(passing: Build, pieces: str) -> None:
    home = passing(sni=True)
    client = await home.connect()
    browser = TlsPeer(client.sock, _client_context(), "a.test")
    if pieces == "bytes":
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        browser.pieces = 1
    shaking = asyncio.ensure_future(browser.shake_hands(b"ping"))
    server = TlsPeer((await home.places[0].lane()).sock, _server_context())
    await server.shake_hands()
    await shaking
    await server.sees(b"ping")
    await server.send(b"pong")
    await browser.sees(b"pong")
    assert browser.certificate["subjectAltName"] == (("DNS", "a.test"),)


def _client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(context)
    return context


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("a.test").configure_cert(context)
    return context


async def test_a_backend_that_resets_before_the_hello_is_sent(passing: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has got the connection: both count it."""
    home = passing(sni=True)
    claim = Lane.claim

    def reset_first(lane: Lane, owner: Waiter) -> None:
        far, _ = home.places[0].listener.accept()
        Peer(far).reset()
        claim(lane, owner)

    monkeypatch.setattr(Lane, "claim", reset_first)
    client = await home.connect()
    await client.send(hello("a.test"))
    await client.is_reset()
    assert (await home.ended()).reason == "tunnel_cut"
    assert (home.listener.service.requests, home.backends[0].requests) == (1, 1)


@pytest.mark.parametrize("name", ["a.test", "A.Test", "one.wild.test"])
async def test_the_hello_arrives_unchanged(passing: Build, name: str) -> None:
    home = passing(sni=True)
    client = await home.connect()
    data = hello(name)
    for at in range(0, len(data), 100):
        await client.send(data[at : at + 100])
        await turn()
    await (await home.places[0].lane()).sees(data)
    client.finish()
    home.places[0].lanes[0].finish()
    assert (await home.ended()).host == name.lower()


@pytest.mark.parametrize(
    ("data", "words", "reason"),
    [
        (hello(None), alert(MISSING_EXTENSION), "sni_missing"),
        (hello("b.test"), alert(UNRECOGNIZED_NAME), "sni_unknown"),
        (hello("two.labels.wild.test"), alert(UNRECOGNIZED_NAME), "sni_unknown"),
        (b"GET / HTTP/1.1\r\n\r\n", None, "not_tls"),
        (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", None, "hello_malformed"),
    ],
)
async def test_a_hello_that_leads_nowhere_gets_an_alert(
    passing: Build, data: bytes, words: bytes | None, reason: str
) -> None:
    home = passing(sni=True)
    client = await home.connect()
    await client.send(data)
    answer = await client.rest()
    assert answer[:5] == bytes.fromhex("1503030002"), "an alert"
    assert answer == (words or answer)
    client.close()
    assert (await home.ended()).reason == reason


async def test_a_hello_has_header_timeout(passing: Build, poller: Poller) -> None:
    home = passing(sni=True)
    client = await home.connect()
    await client.send(hello("a.test")[:50])
    await until(lambda: home.listener.connections and home.connection.stream.received == 50)
    let_expire(poller, home.connection.stream)
    assert await client.rest() == alert(DECODE_ERROR)
    client.close()
    assert (await home.ended()).reason == "hello_timeout"


async def test_a_client_that_goes_away_in_its_hello(passing: Build) -> None:
    home = passing(sni=True)
    client = await home.connect()
    await client.send(hello("a.test")[:50])
    client.finish()
    assert (await home.ended()).reason == "client_gone"


async def test_no_backend_is_an_alert_too(passing: Build) -> None:
    home = passing(sni=True)
    home.places[0].listener.close()
    client = await home.connect()
    await client.send(hello("a.test"))
    assert await client.rest() == alert(INTERNAL_ERROR)
    client.close()
    assert (await home.ended()).reason == "no_backend"


async def test_too_many_connections_is_an_alert(passing: Build, tmp_path: Path) -> None:
    home = passing(sni=True, max_connections=1)
    await home.connect()
    await until(lambda: home.listener.accepted)
    assert await (await home.connect()).rest() == alert(INTERNAL_ERROR)


@pytest.mark.parametrize("when", ["while its lane is opened", "with its lane"])
async def test_a_fault_of_ours_ends_the_client(passing: Build, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    def faulty(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    home = passing()
    if when == "with its lane":
        monkeypatch.setattr("lbproxy.net.passthrough.connection.Tunnel", faulty)
        client = await home.connect()
    else:
        with home.places[0].accepts_nobody():
            client = await home.connect()
            await until(lambda: home.listener.connections)
            lane = home.connection._lane
            assert lane is not None
            lane.crashed(lane.stream, RuntimeError("a fault of ours"))
    await client.is_reset()
    assert (await home.ended()).reason == "internal"


async def test_it_is_covered_by_the_lane_that_is_opened(passing: Build, poller: Poller) -> None:
    home = passing()
    with home.places[0].accepts_nobody():
        await home.connect()
        await until(lambda: home.listener.connections)
        connection = home.connection
        assert connection.stream.deadline == 0
        assert connection.covered(connection.stream)
        assert connection._lane is not None
        connection._lane.stream.deadline = 0
        assert not connection.covered(connection.stream)
        poller.tick()
    assert (await home.ended()).reason == "internal"
