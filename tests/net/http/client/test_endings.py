"""Clients that go away, upgrades, and what is told of a request that has ended."""

from __future__ import annotations

import pytest

from lbproxy import reasons
from lbproxy.balance.backend import State
from tests.net.conftest import Build
from tests.net.dialogue import head, request
from tests.net.http.client.visits import UPGRADE, connections, upgraded
from tests.net.listener_fixture import answered, kerberos
from tests.net.peers import until

# --- clients that go away


@pytest.mark.parametrize("when", ["waiting", "sent", "answering", "private"])
async def test_a_client_that_leaves_takes_its_lane_along(front: Build, when: str) -> None:
    home = front()
    client = await home.connect()
    await client.send(request(b"GET /x", *([kerberos()] if when == "private" else [])))
    if when == "waiting":
        await until(lambda: home.backends[0].active)
    else:
        lane = await home.places[0].lane()
        await lane.head()
        if when == "answering":
            await lane.send(head(b"Content-Length: 5") + b"he")
            await client.receive()
    client.reset()
    await until(lambda: home.records)
    assert (home.ends, home.records[0].status) == (["client_gone"], 200 if when == "answering" else 499)
    assert home.backends[0].state is State.UP


# --- upgrades


@pytest.mark.parametrize("lines", [(), (kerberos(),)], ids=["shared", "private"])
async def test_an_upgrade_is_a_request_until_it_ends(front: Build, lines: tuple[bytes, ...]) -> None:
    home = front()
    client, lane = await upgraded(home, *lines)
    await client.send(b"hello")
    await lane.sees(b"hello")
    assert (home.backends[0].active, home.backends[0].lanes.tunnels) == (1, 1)
    client.finish()
    assert await lane.rest() == b""
    lane.finish()
    assert await client.rest() == b""
    await until(lambda: home.records)
    record = home.records[0]
    assert (record.reason, record.status, record.lane) == ("tunnel_done", 101, "private" if lines else "shared")
    assert (home.backends[0].responses[1], home.backends[0].lanes.tunnels) == (1, 0)


async def test_an_upgrade_counts_its_own_bytes(front: Build) -> None:
    """Not those of the requests that came before it on its connection."""
    home = front()
    client = await home.connect()
    await answered(home, client)
    lane, asks = home.places[0].lanes[0], request(b"GET /x", *UPGRADE)
    switched = head(*UPGRADE, status=b"101 Switching Protocols")
    await client.send(asks + b"early")
    await lane.head()
    await lane.send(switched + b"hi")
    await client.sees(switched + b"hi")
    await client.send(b"late")
    await lane.sees(b"earlylate")
    client.finish()
    lane.finish()
    assert await client.rest() == b""
    await until(lambda: len(home.records) == 2)
    record = home.records[1]
    assert (record.bytes_in, record.bytes_out) == (len(asks) + len(b"earlylate"), len(switched) + len(b"hi"))


@pytest.mark.parametrize("stop", ["stop", "drain"])
async def test_an_upgrade_outlives_a_drain_but_not_a_stop(front: Build, stop: str) -> None:
    home = front()
    client, lane = await upgraded(home)
    if stop == "drain":
        home.listener.drain()
        await client.send(b"still here")
        await lane.sees(b"still here")
    home.listener.stop(reasons.SHUTDOWN)
    await client.is_reset()
    await lane.is_reset()
    assert home.ends == ["shutdown"]
    assert home.emptied == 1


# --- what is told


async def test_head_gets_no_body_of_a_refusal(front: Build) -> None:
    home = front()
    client = await home.connect()
    await client.send(request(b"HEAD /denied", b"Connection: close"))
    assert (await client.rest()).endswith(b"\r\n\r\n")


async def test_says_who_it_is(front: Build) -> None:
    home = front()
    client = await home.connect()
    [connection] = await connections(home)
    host, port = client.sock.getsockname()
    assert repr(connection) == f"<client {host}:{port} on login>"
