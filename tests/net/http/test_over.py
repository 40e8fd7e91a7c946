"""A client connection that is over is gone: nothing waits for the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from lbproxy import reasons
from lbproxy.net.http.client import ClientConnection
from lbproxy.net.http.exchange import Exchange
from lbproxy.net.http.over import OVER
from lbproxy.net.transport.stream import Stream
from lbproxy.net.upstream.private import PrivateLanes
from tests.net.conftest import Build
from tests.net.dialogue import answer, head, request
from tests.net.http.client.visits import authenticated, connections, first, upgraded
from tests.net.listener_fixture import ListenerFixture
from tests.net.peers import until

_OURS = (ClientConnection, Exchange, PrivateLanes, Stream)


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def left() -> list[object]:
    return [one for one in gc.get_objects() if isinstance(one, _OURS)]


async def idle(home: ListenerFixture) -> None:
    client = await home.connect()
    await connections(home)
    client.finish()


async def answered(home: ListenerFixture) -> None:
    client = await home.connect()
    lane = await first(home, client, 0)
    lane.finish()  # a shared lane would rest
    client.finish()


async def logged_in(home: ListenerFixture) -> None:
    client = await home.connect()
    await authenticated(home, client)
    client.finish()


async def answered_for_good(home: ListenerFixture) -> None:
    client = await home.connect()
    await client.send(request(b"GET /x", b"Connection: close"))
    lane = await home.places[0].lane()
    await lane.head()
    await lane.send(answer(b"ok"))
    assert (await client.rest()).endswith(b"ok")
    lane.finish()


async def reset_in_the_middle(home: ListenerFixture) -> None:
    client = await home.connect()
    await client.send(request())
    lane = await home.places[0].lane()
    await lane.head()
    await lane.send(head(b"Content-Length: 5") + b"he")
    await client.receive()
    client.reset()


async def refused(home: ListenerFixture) -> None:
    client = await home.connect()
    await client.send(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")
    assert (await client.rest()).startswith(b"HTTP/1.1 400")
    client.finish()


async def tunnelled(home: ListenerFixture) -> None:
    client, lane = await upgraded(home)
    client.finish()
    lane.finish()


async def stopped(home: ListenerFixture) -> None:
    await home.connect()
    [client] = await connections(home)
    client.stop(reasons.SHUTDOWN)


@pytest.mark.parametrize(
    "visit", [idle, answered, logged_in, answered_for_good, reset_in_the_middle, refused, tunnelled, stopped]
)
async def test_a_client_connection_that_is_over_is_gone(front: Build, visit: object) -> None:
    home = front()
    before = len(left())
    assert callable(visit)
    await visit(home)
    await until(lambda: not home.listener.connections)
    for client in home.clients:
        client.close()
    await until(lambda: len(left()) == before)


async def test_an_end_that_comes_once_more_is_none(front: Build) -> None:
    home = front()
    await home.connect()
    [client] = await connections(home)
    exchange = client.exchange
    client.stop(reasons.SHUTDOWN)
    assert exchange.policy is OVER
    exchange.crashed(client.stream, RuntimeError("late"))
    client.stop(reasons.SHUTDOWN)
    client.drain()
    assert home.listener.refused == {}
    assert not home.listener.connections
