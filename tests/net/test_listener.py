from __future__ import annotations

import logging
import os
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest
import trustme

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.net.listener import ACCEPT_AT_ONCE, _names, _origins
from lbproxy.net.stream import Poller
from lbproxy.net.tls import ServerTls
from tests.net.dialogue import HEADER_TIMEOUT, answer, request
from tests.net.house import House
from tests.net.peers import Peer, TlsPeer, let_expire, until

LOOPBACK, ELSEWHERE = ip_network("127.0.0.0/8"), ip_network("192.0.2.0/24")

Build = Callable[..., House]


@pytest.fixture
async def house(poller: Poller) -> AsyncIterator[Build]:
    """`house(backends=1, **options)` builds one, whose counters are looked at in the end."""
    built: list[House] = []

    def build(*arguments: object, **options: object) -> House:
        built.append(House(poller, *arguments, **options))  # type: ignore[arg-type]
        return built[-1]

    yield build
    for each in built:
        await each.close()


async def answered(home: House, client: Peer) -> bytes:
    """A request is served over a new lane; the head that the backend got."""
    await client.send(request())
    lane = await home.places[0].lane()
    seen = await lane.head()
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    return seen


# --- accepting


async def test_counts_its_clients(house: Build) -> None:
    home = house()
    clients = [await home.connect() for _ in range(3)]
    await until(lambda: len(home.listener.connections) == 3)
    assert repr(home.listener) == "<listener login 3 connections>"
    for client in clients:
        client.close()
    await until(lambda: not home.listener.connections)
    assert (home.listener.accepted, home.emptied) == (3, 1)
    assert home.listener.ends == {"client_closed": 3}


async def test_accepts_more_than_it_takes_at_once(house: Build) -> None:
    home = house()
    home.listener.pause()
    for _ in range(ACCEPT_AT_ONCE + 10):
        await home.connect()
    home.listener.start()
    home.listener.start()
    await until(lambda: home.listener.accepted == ACCEPT_AT_ONCE + 10)


async def test_max_connections(house: Build) -> None:
    home = house(max_connections=2)
    kept = [await home.connect() for _ in range(2)]
    await until(lambda: home.listener.accepted == 2)
    turned_away = await home.connect()
    assert await turned_away.rest() == b""
    assert home.listener.refused == {"too_many_connections": 1}
    kept[0].close()
    await until(lambda: len(home.listener.connections) == 1)
    await answered(home, await home.connect())
    assert home.listener.accepted == 3


@pytest.mark.parametrize(
    ("allow", "served"), [((LOOPBACK,), True), ((ELSEWHERE, LOOPBACK), True), ((ELSEWHERE,), False)]
)
async def test_allow(house: Build, allow: tuple[object, ...], served: bool) -> None:
    home = house(allow=allow)
    client = await home.connect()
    if served:
        await answered(home, client)
        assert home.listener.refused == {}
    else:
        assert await client.rest() == b""
        assert (home.listener.refused, home.listener.accepted) == ({"not_allowed": 1}, 0)


@pytest.mark.parametrize(
    ("trust", "expected"), [((), b"127.0.0.1"), ((ELSEWHERE,), b"127.0.0.1"), ((LOOPBACK,), b"192.0.2.7, 127.0.0.1")]
)
async def test_trust(house: Build, trust: tuple[object, ...], expected: bytes) -> None:
    home = house(trust=trust)
    client = await home.connect()
    await client.send(request(b"GET /x", b"X-Forwarded-For: 192.0.2.7"))
    seen = await (await home.places[0].lane()).head()
    assert b"\r\nX-Forwarded-For: " + expected + b"\r\n" in seen


async def test_a_unix_socket_has_clients_without_address(house: Build, tmp_path: Path) -> None:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(os.path.relpath(tmp_path / "s"))
    sock.listen()
    home = house(sock=sock, trust=(LOOPBACK,), allow=(ELSEWHERE,))
    seen = await answered(home, await home.connect())
    assert b"\r\nX-Forwarded-For: unknown\r\n" in seen
    assert home.records[0].client == "unix"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (("192.0.2.1", 5), ("192.0.2.1", "192.0.2.1:5")),
        (("::ffff:192.0.2.1", 5, 0, 0), ("192.0.2.1", "192.0.2.1:5")),
        (("2001:db8::1", 5, 0, 0), ("2001:db8::1", "[2001:db8::1]:5")),
        (("fe80::1%eth0", 5, 0, 2), ("fe80::1", "[fe80::1]:5")),
        ("", ("", "unix")),
    ],
)
def test_names_of_peers(address: tuple[str, int] | str, expected: tuple[str, str]) -> None:
    assert _names(address) == expected


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Every descriptor that the process may have is in use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_descriptors_it_pauses(house: Build, caplog: pytest.LogCaptureFixture) -> None:
    home = house()
    home.listener.pause()
    client = await home.connect()
    with no_descriptors():
        home.listener.start()
        await until(lambda: caplog.records)
    [record] = caplog.records
    assert (record.levelno, record.message) == (logging.ERROR, "accept_paused")
    assert home.listener.accepted == 0
    await answered(home, client)


async def test_a_pause_for_want_of_descriptors_does_not_undo_a_drain(
    house: Build, caplog: pytest.LogCaptureFixture
) -> None:
    home = house()
    home.listener.pause()
    await home.connect()
    with no_descriptors():
        home.listener.start()
        await until(lambda: caplog.records)
    home.listener.drain()
    home.listener.start()
    assert not home.poller.loop.remove_reader(home.socket.fileno()), "nobody watches it"


# --- TLS

CA = trustme.CA()


def certificate(directory: Path) -> ServerTls:
    leaf = CA.issue_cert("a.test")
    leaf.cert_chain_pems[0].write_to_path(str(directory / "chain.pem"))
    leaf.private_key_pem.write_to_path(str(directory / "key.pem"))
    return ServerTls(directory / "chain.pem", directory / "key.pem", "1.2")


def browser(peer: Peer) -> TlsPeer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    CA.configure_trust(context)
    return TlsPeer(peer.sock, context, "a.test")


async def test_tls(house: Build, tmp_path: Path) -> None:
    home = house(tls=certificate(tmp_path))
    client = browser(await home.connect())
    await client.shake_hands(request())
    lane = await home.places[0].lane()
    await lane.head()
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    await client.send(request(b"GET /denied", b"Connection: close"))
    assert (await client.rest()).startswith(b"HTTP/1.1 404 ")


async def test_tls_answers_a_client_that_uploads_what_nobody_wants(house: Build, tmp_path: Path) -> None:
    """Neither a reset nor a bare FIN comes in place of the answer."""
    home = house(tls=certificate(tmp_path))
    client = browser(await home.connect())
    await client.shake_hands(b"POST / HTTP/1.1\r\nHost: b.example\r\nContent-Length: 4000000\r\n\r\n" + b"x" * 100_000)
    await client.send(b"x" * 3_900_000)
    client.close_notify()
    await client.flush()
    client.finish()
    received = await client.exactly(len("HTTP/1.1 421 "))
    assert received == b"HTTP/1.1 421 "


@pytest.mark.parametrize("how", ["plain HTTP", "closed", "reset"])
async def test_a_handshake_that_fails_is_counted(house: Build, tmp_path: Path, how: str) -> None:
    home = house(tls=certificate(tmp_path))
    client = await home.connect()
    await until(lambda: home.listener.connections)
    if how == "plain HTTP":
        await client.send(request())
    elif how == "closed":
        client.finish()
    else:
        client.reset()
    await until(lambda: not home.listener.connections)
    assert home.listener.ends == {"tls_failed": 1}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # wrap_socket leaves its half to the GC
async def test_a_client_that_is_gone_before_it_is_accepted(house: Build, tmp_path: Path) -> None:
    home = house(tls=certificate(tmp_path))
    home.listener.pause()
    client = await home.connect()
    client.reset()
    home.listener.start()
    await until(lambda: home.listener.ends)
    assert home.listener.ends == {"tls_failed": 1}
    assert not home.listener.connections


async def test_a_handshake_has_header_timeout(house: Build, tmp_path: Path, poller: Poller) -> None:
    home = house(tls=certificate(tmp_path))
    client = await home.connect()
    await until(lambda: home.listener.connections)
    [connection] = home.listener.connections
    assert connection.stream.deadline == poller.now + HEADER_TIMEOUT
    let_expire(poller, connection.stream)
    assert await client.rest() == b""
    assert home.listener.ends == {"tls_timeout": 1}


async def test_new_clients_get_the_new_certificate(house: Build, tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    home = house(tls=tls)
    serials = []
    for renew in (False, True):
        if renew:
            certificate(tmp_path)
            assert tls.refresh()
        client = browser(await home.connect())
        await client.shake_hands()
        serials.append(client.certificate["serialNumber"])
    assert serials[0] != serials[1]


# --- stopping


async def test_drain_answers_whom_it_has_accepted_and_whom_the_kernel_has(house: Build) -> None:
    home = house()
    idle, busy = await home.connect(), await home.connect()
    await answered(home, idle)
    lane = home.places[0].lanes[0]
    await busy.send(request())
    await lane.head()
    waiting = [home.arrives(request(b"GET /denied")) for _ in range(ACCEPT_AT_ONCE + 10)]
    home.listener.drain()
    assert await idle.rest() == b""
    await lane.send(answer(b"late"))
    await busy.sees(answer(b"late", b"Connection: close"))
    for client in waiting:
        assert (await client.rest()).startswith(b"HTTP/1.1 404 ")
        client.close()
    await until(lambda: home.emptied)
    assert home.emptied == 1
    assert not home.poller.loop.remove_reader(home.socket.fileno()), "nobody accepts any more"


async def test_stop_ends_everybody(house: Build) -> None:
    home = house()
    idle, busy = await home.connect(), await home.connect()
    await busy.send(request())
    lane = await home.places[0].lane()
    await lane.head()
    await until(lambda: home.listener.accepted == 2)
    home.listener.stop(reasons.SHUTDOWN)
    assert await idle.rest() == b""
    await busy.is_reset()
    assert await lane.rest() == b""
    assert home.listener.ends == {"shutdown": 2}
    assert not home.listener.connections


# --- what its clients ask


def test_the_schemes_own_port_may_be_written_or_not() -> None:
    for origin in (Backend("a", "http://10.0.0.1"), Backend("a", "http://10.0.0.1:80")):
        assert _origins(origin) == {b"http://10.0.0.1", b"http://10.0.0.1:80"}
    assert _origins(Backend("a", "https://A.test:443")) == {b"https://a.test", b"https://a.test:443"}
    assert _origins(Backend("a", "http://10.0.0.1:4000")) == {b"http://10.0.0.1:4000"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"{origin}/login", b"https://a.test/login"),
        (b"{origin}", b"https://a.test"),
        (b"{origin}?x=http://b", b"https://a.test?x=http://b"),
        (b"{ORIGIN}/x", b"https://a.test/x"),
        (b"{origin}.evil.example/x", None),
        (b"{origin}@evil.example/x", None),
        (b"https://idp.example/{origin}/x", None),
        (b"relative/path", None),
        (b"//127.0.0.1/x", None),
    ],
)
async def test_locations_of_backends_become_public(house: Build, value: bytes, expected: bytes | None) -> None:
    home = house()
    origin = home.backends[0].origin
    value = value.replace(b"{origin}", origin).replace(b"{ORIGIN}", origin.upper())
    assert home.listener.public_location(value) == (value if expected is None else expected)


@pytest.mark.parametrize("evidence", [reasons.CONNECT_REFUSED, reasons.CLIENT_GONE])
async def test_evidence_reaches_the_pool_if_it_counts(house: Build, evidence: reasons.Reason) -> None:
    home = house()
    home.listener.evidence(home.backends[0], evidence, "a detail")
    assert home.backends[0].in_rotation is (evidence is reasons.CLIENT_GONE)
    assert home.backends[0].detail == ("" if home.backends[0].in_rotation else "a detail")
