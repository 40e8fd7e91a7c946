"""What is remembered of a client connection is made when it is needed."""

from __future__ import annotations

from lbproxy.net.http.client import ClientConnection
from tests.net.conftest import Build
from tests.net.dialogue import head
from tests.net.http.client.visits import ask, authenticated, connections, first
from tests.net.listener_fixture import BEARER, OFFER


def remembered(client: ClientConnection) -> list[str]:
    return [name for name in ("_binding", "_private", "_tried") if getattr(client, name) is not None]


async def test_of_most_clients_nothing_is(front: Build) -> None:
    home = front()
    client = await home.connect()
    lane = await first(home, client, 0)
    await ask(client, lane)
    await ask(client, lane, BEARER)
    [connection] = await connections(home)
    assert remembered(connection) == []
    assert connection.exchange.fast_path is True


async def test_of_one_that_authenticates_it_is_until_it_goes(front: Build) -> None:
    home = front()
    client = await home.connect()
    await authenticated(home, client)
    [connection] = await connections(home)
    assert remembered(connection) == ["_binding", "_private"]
    assert connection.exchange.fast_path is False


async def test_an_offer_is_enough(front: Build) -> None:
    home = front()
    client = await home.connect()
    await first(home, client, 0, reply=head(OFFER, b"Content-Length: 0", status=b"401 No"))
    [connection] = await connections(home)
    assert remembered(connection) == ["_binding", "_private"]
    assert connection.exchange.fast_path is False
