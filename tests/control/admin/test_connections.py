"""The routes of client connections, in front of something that has one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import cast

import pytest

from lbproxy.control.admin.connections import connection_routes, encoded
from lbproxy.control.live_connections import NO_CONNECTIONS, SLICE, ConnectionQuery, ConnectionsView, ConnectionView
from lbproxy.errors import AdminError
from tests.control.admin.serving import Client, serving
from tests.control.live import connection


class NoConnections:
    """None is open."""

    async def find(self, query: ConnectionQuery) -> ConnectionsView:
        return NO_CONNECTIONS

    async def kick(self, identity: str, by: str) -> ConnectionView:
        raise AdminError(f"there is no connection {identity}")


class OneConnection(NoConnections):
    """`asked` and `kicked` are what it was asked."""

    def __init__(self) -> None:
        self.asked: list[ConnectionQuery] = []
        self.kicked: list[tuple[str, str]] = []

    async def find(self, query: ConnectionQuery) -> ConnectionsView:
        self.asked.append(query)
        if query.pool == "other":
            raise AdminError("there is no pool other")
        return {**NO_CONNECTIONS, "open": 1, "matched": 1, "connections": [connection()]}

    async def kick(self, identity: str, by: str) -> ConnectionView:
        if identity != connection()["id"]:
            return await super().kick(identity, by)
        self.kicked.append((identity, by))
        return connection()


@pytest.fixture
def one() -> OneConnection:
    return OneConnection()


@pytest.fixture
async def client(one: OneConnection) -> AsyncIterator[Client]:
    async with serving(connection_routes(one)) as client:
        yield client


async def test_what_is_asked_is_looked_for(client: Client, one: OneConnection) -> None:
    assert (await (await client.get("/connections")).json())["connections"] == [connection()]
    query = {"pool": "p", "backend": "p/c1", "user": "CN=", "address": "10.0.0.0/8", "limit": "7", "order": "newest"}
    assert (await client.get("/connections", params=query)).status == 200
    assert one.asked == [ConnectionQuery(), ConnectionQuery("p", "p/c1", "CN=", "10.0.0.0/8", 7, True)]


async def test_many_are_encoded_in_pieces() -> None:
    """The loop turns at least once for each of them: users' requests may be served by it."""
    many = [{**connection(), "id": str(number)} for number in range(3 * SLICE + 1)]
    found: ConnectionsView = {**NO_CONNECTIONS, "open": 7, "connections": cast(list[ConnectionView], many)}
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    assert json.loads(await encoded(found)) == found
    counting.cancel()
    assert turns >= 3
    assert json.loads(await encoded(NO_CONNECTIONS)) == NO_CONNECTIONS


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("limit=0", "limit: not a number from 1 to 10000\n"),
        ("limit=10001", "limit: not a number from 1 to 10000\n"),
        ("limit=-1", "limit: not a number from 1 to 10000\n"),
        ("limit=%C2%B2", "limit: not a number from 1 to 10000\n"),
        (f"limit={'9' * 5000}", "limit: not a number from 1 to 10000\n"),
        ("address=10.0.0.0.1", "address: not an IP address, and not a network\n"),
        ("address=10.0.0.0/33", "address: not an IP address, and not a network\n"),
        ("order=oldest", "order: not longest or newest\n"),
    ],
)
async def test_a_bad_parameter_is_named(client: Client, one: OneConnection, query: str, says: str) -> None:
    response = await client.get(f"/connections?{query}")
    assert (response.status, await response.text(), one.asked) == (400, says, [])


async def test_what_is_refused_says_why(client: Client) -> None:
    response = await client.get("/connections?pool=other")
    assert (response.status, await response.text()) == (409, "there is no pool other\n")
    response = await client.delete("/connections/1-2-x")
    assert (response.status, await response.text()) == (409, "there is no connection 1-2-x\n")


async def test_one_is_ended_and_who_did_it_is_known(client: Client, one: OneConnection) -> None:
    assert await (await client.delete(f"/connections/{connection()['id']}")).json() == connection()
    assert one.kicked == [(connection()["id"], "admin")]
