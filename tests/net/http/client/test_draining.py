"""A backend drains: whoever has a lane of his own to it finishes, and leaves cleanly."""

from __future__ import annotations

import pytest

from lbproxy.net.http.client import ClientConnection
from lbproxy.net.upstream.private import PARTING
from tests.net.conftest import Build
from tests.net.dialogue import answer, request
from tests.net.http.client.visits import UNAUTHORIZED, ask, authenticated, connections, first
from tests.net.listener_fixture import BEARER, LEG, ListenerFixture, kerberos, ntlm
from tests.net.peers import Peer

LAST = answer(b"ok", b"Connection: close")


async def drain(home: ListenerFixture, number: int = 0) -> ClientConnection:
    """The backend of this number drains, as `process.worker` tells the only client."""
    home.pool.drain(home.backends[number])
    [connection] = await connections(home)
    connection.draining(home.backends[number])
    return connection


async def is_the_last(client: Peer, lane: Peer, *lines: bytes) -> None:
    """A request is answered by the backend, and then its client is asked to leave."""
    await client.send(request(b"GET /x", *lines))
    await lane.head()
    await lane.send(answer(b"ok"))
    await client.sees(LAST)
    assert await client.rest() == b""
    assert await lane.rest() == b""


async def test_whoever_follows_a_lane_leaves_with_his_next_answer(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    lane = await authenticated(home, client, 0)
    await drain(home)
    await is_the_last(client, lane)
    assert home.ends == ["done", "done"]


async def test_whoever_is_idle_for_a_while_leaves_without_one(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    lane = await authenticated(home, client, 0)
    connection = await drain(home)
    connection.stream.deadline -= PARTING - 1
    connection.draining(home.backends[0])
    connection.stream.deadline -= 1
    assert home.listener.connections, "he may have more to ask"
    connection.draining(home.backends[0])
    assert await client.rest() == b""
    assert await lane.rest() == b""
    assert home.listener.ends["drained"] == 1


async def test_an_answer_that_is_on_its_way_is_the_last_too(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    await client.send(request(b"GET /x", kerberos()))
    lane = await home.places[0].lane()
    await lane.head()
    await drain(home)
    await lane.send(answer(b"ok"))
    await client.sees(LAST)
    assert await client.rest() == b""


async def test_an_exchange_of_several_legs_may_finish(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    leg = answer(b"", LEG, status=UNAUTHORIZED)
    lane = await first(home, client, 0, ntlm(1), reply=leg)
    await drain(home)
    await ask(client, lane, ntlm(1), reply=leg)
    await is_the_last(client, lane, ntlm(3))


async def test_a_lane_that_nobody_follows_closes_at_once(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    lane, followed = [await authenticated(home, client, number) for number in (0, 1)]
    await drain(home)
    assert await lane.rest() == b""
    assert home.lane_ends == {"lane_drained": 1}
    await ask(client, followed)


async def test_a_new_token_goes_elsewhere_and_the_lane_closes(front: Build) -> None:
    """The client need not leave: it follows another lane from here on."""
    home = front(2)
    client = await home.connect()
    lane = await authenticated(home, client, 0)
    connection = await drain(home)
    other = await authenticated(home, client, 1)
    connection.draining(home.backends[0])
    assert await lane.rest() == b""
    await ask(client, other)


async def test_requests_with_a_credential_of_their_own_are_served_elsewhere(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    lane = await authenticated(home, client, 0)
    await drain(home)
    await first(home, client, 1, BEARER)
    await is_the_last(client, lane)


@pytest.mark.parametrize("line", [b"GET /x", b"POST /x"])
async def test_shared_lanes_ask_nobody_to_leave(front: Build, line: bytes) -> None:
    home = front(2)
    client = await home.connect()
    await client.send(request(line))
    lane = await home.places[0].lane()
    await lane.head()
    await drain(home)
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    assert await lane.rest() == b""
    await first(home, client, 1)


async def test_a_client_with_lanes_of_its_own_from_the_beginning_goes_elsewhere(front: Build) -> None:
    home = front(2, send_proxy="v1")
    client = await home.connect()
    await client.send(request())
    lane = await home.places[0].lane()
    assert (await lane.exactly(6)) == b"PROXY "
    await lane.head()
    await drain(home)
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    assert await lane.rest() == b""
    await client.send(request())
    other = await home.places[1].lane()
    await other.head()
    await other.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
