"""Clients that go away, upgrades, and what is told of a request that has ended."""

from __future__ import annotations

import pytest

from lbproxy import reasons
from lbproxy.balance.backend import State
from tests.net.conftest import Build
from tests.net.dialogue import answer, head, request
from tests.net.http.client.visits import UPGRADE, ask, connections, upgraded
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


async def test_the_record_of_a_request(front: Build) -> None:
    home = front()
    client = await home.connect()
    host, port = client.sock.getsockname()
    sent = request(b"POST /a?b", b"User-Agent: UA", b"Content-Length: 5", body=b"hello")
    await client.send(sent)
    lane = await home.places[0].lane()
    await lane.head()
    await lane.sees(b"hello")
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    await ask(client, lane)
    one, two = home.records
    assert one[1:17] == (
        "login", f"{host}:{port}", "POST", "/a?b", "a.test", "HTTP/1.1", 200, len(sent), len(answer(b"ok")),
        "UA", "", "c1", "shared", False, 1, one.connect_ms,
    )  # fmt: skip
    assert 0 <= one.connect_ms <= one.first_byte_ms <= one.total_ms
    assert (one.reason, two.reason, two.reused) == ("done", "done", True)
    assert one.time <= two.time


async def test_the_record_of_a_refusal(front: Build) -> None:
    home = front()
    client = await home.connect()
    await client.send(b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n")
    await client.sees(b"HTTP/1.1 421 ")
    [record] = home.records
    assert (record.backend, record.lane, record.tries, record.reused) == ("", "", 0, False)
    assert (record.connect_ms, record.first_byte_ms) == (-1, -1)
    assert (record.status, record.reason) == (421, "misdirected")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"POST /x HTTP/1.1", ("POST", "/x", "HTTP/1.1")),
        (b"POST /x HTTP/1.0", ("POST", "/x", "HTTP/1.0")),
        (b"POST /x HTTP/1.7", ("POST", "/x", "HTTP/1.7")),
        (b"POST /x HTTP/2.0", ("POST", "", "")),
        (b"\0", ("", "", "")),
    ],
)
async def test_the_record_of_a_head_that_breaks_a_rule(front: Build, line: bytes, told: tuple[str, ...]) -> None:
    """What could be read of it, and nothing of the request before."""
    home = front()
    client = await home.connect()
    await answered(home, client)
    await client.send(line + b"\r\nHost: a.test\r\nContent-Length: x\r\n\r\n")
    assert b"\r\nConnection: close\r\n" in await client.head()
    record = home.records[1]
    assert (record.method, record.target, record.protocol) == told


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


async def test_a_refused_request_is_not_logged_with_the_backend_of_the_one_before(front: Build) -> None:
    home = front()
    client = await home.connect()
    await answered(home, client)
    await client.send(request(b"GET /denied"))
    assert (await client.head()).startswith(b"HTTP/1.1 404 ")
    record = home.records[1]
    assert (record.reason, record.backend, record.lane, record.tries) == ("denied_path", "", "", 0)
