"""PROXY headers of clients, as a listener that requires them reads them."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_network

import pytest

from lbproxy import reasons
from lbproxy.net.listener.proxy_header import ProxyHeaderReader
from lbproxy.net.transport.poller import Poller
from lbproxy.wire.proxyproto import encode
from tests.net.conftest import Build
from tests.net.dialogue import answer, request
from tests.net.listener_fixture import ListenerFixture, answered
from tests.net.peers import Peer, let_expire, turn, until

LOOPBACK, ELSEWHERE = (ip_network("127.0.0.0/8"),), (ip_network("192.0.2.0/24"),)
CLIENT, HERE = ("192.0.2.7", 40000), ("198.51.100.1", 443)
V1 = encode("v1", CLIENT, HERE)
V2 = encode("v2", CLIENT, HERE)
V6 = encode("v2", ("2001:db8::7", 40000), ("2001:db8::1", 443))


async def forwarded_for(home: ListenerFixture, client: Peer, header: bytes) -> bytes:
    """What a backend is told of the client after its PROXY header."""
    await client.send(header)
    seen = await answered(home, client)
    return seen.partition(b"X-Forwarded-For: ")[2].partition(b"\r\n")[0]


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
async def test_the_header_says_who_the_client_is(front: Build, header: bytes) -> None:
    home = front(proxy_from=LOOPBACK, allow=ELSEWHERE)
    assert await forwarded_for(home, await home.connect(), header) == b"192.0.2.7"
    assert home.records[0].client == "192.0.2.7:40000"


async def test_an_ipv6_client(front: Build) -> None:
    home = front(proxy_from=LOOPBACK)
    assert await forwarded_for(home, await home.connect(), V6) == b"2001:db8::7"
    assert home.records[0].client == "[2001:db8::7]:40000"


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_balancers_own_check_has_its_own_address(front: Build, version: str) -> None:
    home = front(proxy_from=LOOPBACK)
    header = encode(version, None, None)  # type: ignore[arg-type]
    assert await forwarded_for(home, await home.connect(), header) == b"127.0.0.1"


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
async def test_it_comes_byte_by_byte_and_nothing_else_is_taken(front: Build, header: bytes) -> None:
    home = front(proxy_from=LOOPBACK)
    client = await home.connect()
    for at in range(len(header) - 1):
        await client.send(header[at : at + 1])
        await turn()
    await client.send(header[-1:] + request())
    lane = await home.places[0].lane()
    assert b"\r\nX-Forwarded-For: 192.0.2.7\r\n" in await lane.head()
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))


async def test_the_address_in_the_header_is_the_one_that_is_judged(front: Build) -> None:
    home = front(proxy_from=LOOPBACK, allow=LOOPBACK, max_per_address=1)
    client = await home.connect()
    await client.send(V1)
    assert await client.rest() == b""
    assert home.listener.refused == {"not_allowed": 1}
    assert not home.listener.connections


async def test_connections_are_counted_by_the_address_in_the_header(front: Build) -> None:
    home = front(proxy_from=LOOPBACK, max_per_address=1)
    first, second, other = await home.connect(), await home.connect(), await home.connect()
    await forwarded_for(home, first, V1)
    await second.send(V2)
    assert (await second.rest()).startswith(b"HTTP/1.1 503 ")
    assert home.listener.refused == {"too_many_from_address": 1}
    await other.send(V6 + request(b"GET /denied"))
    assert (await other.receive()).startswith(b"HTTP/1.1 404 ")
    first.close()
    await until(lambda: len(home.listener.connections) == 1)
    again = await home.connect()
    await again.send(V1 + request(b"GET /denied"))
    assert (await again.receive()).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "data", [request(), b"\x16\x03\x01\x02\x00\x01", b"PROXY TCP4 1.2.3.4\r\n", V2[:12] + b"\x31" + V2[13:]]
)
async def test_without_a_good_header_there_is_no_connection(front: Build, data: bytes) -> None:
    home = front(proxy_from=LOOPBACK)
    client = await home.connect()
    await client.send(data)
    with suppress(ConnectionResetError):  # bytes that nobody read were on their way
        assert await client.rest() == b""
    await until(lambda: not home.listener.connections)
    assert home.listener.ends == {"proxy_header_malformed": 1}
    assert home.listener.accepted == 0


async def test_nobody_else_may_send_one(front: Build) -> None:
    home = front(proxy_from=ELSEWHERE)
    client = await home.connect()
    await client.send(V1 + request())
    assert (await client.rest()).startswith(b"HTTP/1.1 400 ")


async def test_it_has_header_timeout(front: Build, poller: Poller) -> None:
    home = front(proxy_from=LOOPBACK)
    client = await home.connect()
    await client.send(V1[:10])
    await until(lambda: home.listener.connections)
    [reader] = home.listener.connections
    assert isinstance(reader, ProxyHeaderReader)
    let_expire(poller, reader._stream)
    await until(lambda: not home.listener.connections)
    assert home.listener.ends == {"proxy_header_timeout": 1}


@pytest.mark.parametrize("how", ["finish", "reset"])
async def test_a_client_that_goes_away_before(front: Build, how: str) -> None:
    home = front(proxy_from=LOOPBACK)
    client = await home.connect()
    await client.send(V1[:10])
    await until(lambda: home.listener.connections)
    getattr(client, how)()
    await until(lambda: not home.listener.connections)
    assert home.listener.ends == {"client_gone": 1}


async def test_stop(front: Build) -> None:
    home = front(proxy_from=LOOPBACK)
    client = await home.connect()
    await until(lambda: home.listener.connections)
    home.listener.drain()
    assert home.listener.connections
    home.listener.stop(reasons.SHUTDOWN)
    assert await client.rest() == b""
    assert home.listener.ends == {"shutdown": 1}
