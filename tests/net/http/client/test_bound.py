"""Requests of a client that is bound to its lane: the data path sends them there by itself, and as the policy would."""

from __future__ import annotations

import pytest

from lbproxy.auth import binding
from tests.net.conftest import Asked, Build
from tests.net.dialogue import answer, head, request
from tests.net.http.client.visits import UNAUTHORIZED, UPGRADE, ask, ask_over_another, authenticated, connections, first
from tests.net.listener_fixture import BEARER, LEG, OFFER, ListenerFixture, kerberos, ntlm
from tests.net.peers import Peer, until


async def bound(home: ListenerFixture, asked: Asked) -> tuple[Peer, Peer]:
    """A client that has logged in at the first backend, and the far end of its lane."""
    client = await home.connect()
    lane = await authenticated(home, client)
    asked.times = 0
    return client, lane


async def state(home: ListenerFixture) -> binding.State:
    [connection] = await connections(home)
    return connection._own.binding.state


async def test_the_policy_only_names_the_lane(front: Build, asked: Asked) -> None:
    home = front(2)
    client, lane = await bound(home, asked)
    for line in (b"GET /x", b"HEAD /x", b"DELETE /x"):
        await ask(client, lane, line=line, reply=head(b"Content-Length: 0"))
    backend = home.backends[0]
    assert (asked.times, home.site.on_fast_path, await state(home)) == (0, 3, binding.State.BOUND)
    assert (backend.requests, backend.active, backend.responses, backend.lanes_opened) == (4, 0, [0, 0, 4, 0, 0, 0], 1)
    assert home.listener.ends == {"done": 4}
    assert home.backends[1].requests == 0
    [connection] = await connections(home)
    assert (connection.exchange.lane, connection.exchange.served_by, connection.exchange.tries) == (None, None, 0)


async def test_the_access_log_shows_no_difference(front: Build, asked: Asked) -> None:
    home = front()
    client, lane = await bound(home, asked)
    await ask(client, lane)
    await ask(client, lane, kerberos())
    assert asked.times == 1
    short, other = (record._asdict() for record in home.records[1:])
    differing = {"time", "bytes_in", "connect_ms", "first_byte_ms", "total_ms"}
    assert {key for key in short if short[key] != other[key]} <= differing
    assert (short["lane"], short["reused"], short["tries"], short["reason"]) == ("private", True, 1, "done")


@pytest.mark.parametrize(
    ("line", "lines", "body"),
    [
        (b"GET /x", (kerberos("bob"),), b""),
        (b"GET /x", (ntlm(1),), b""),
        (b"GET /x", (b"Authorization: Custom abc",), b""),
        (b"GET /x", UPGRADE, b""),
        (b"POST /x", (b"Content-Length: 2",), b"ab"),
        (b"PUT /x", (b"Content-Length: 2",), b"ab"),
    ],
    ids=["another token", "ntlm", "unknown scheme", "upgrade", "post", "put"],
)
async def test_what_may_change_something_is_the_policys(
    front: Build, asked: Asked, line: bytes, lines: tuple[bytes, ...], body: bytes
) -> None:
    home = front()
    client, lane = await bound(home, asked)
    await client.send(request(line, *lines) + body)
    assert (await lane.head()).startswith(line)
    await lane.exactly(len(body))
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    assert (asked.times, home.site.on_fast_path) == (1, 0)


async def test_a_credential_of_its_own_goes_to_a_shared_lane(front: Build, asked: Asked) -> None:
    """And the next one without a credential is bound again."""
    home = front()
    client, lane = await bound(home, asked)
    await first(home, client, 0, BEARER)
    assert asked.times == 1
    await ask(client, lane)
    assert (asked.times, home.site.on_fast_path, home.records[-1].lane) == (1, 1, "private")


async def test_while_an_exchange_is_in_progress_the_policy_is_asked(front: Build, asked: Asked) -> None:
    """A server may begin one in the answer to a request that was on the fast path."""
    home = front()
    client, lane = await bound(home, asked)
    await ask(client, lane, reply=answer(b"who?", LEG, status=UNAUTHORIZED))
    assert (asked.times, await state(home)) == (0, binding.State.LEG)
    await ask(client, lane, ntlm(3))
    await ask(client, lane)
    assert (asked.times, home.site.on_fast_path, await state(home)) == (2, 0, binding.State.NTLM)


async def test_a_page_may_ask_for_a_token_each_time(front: Build, asked: Asked) -> None:
    home = front()
    client, lane = await bound(home, asked)
    for _ in range(2):
        await ask(client, lane, reply=answer(b"who?", OFFER, status=UNAUTHORIZED))
    assert (asked.times, home.site.on_fast_path, await state(home)) == (0, 0, binding.State.BOUND)
    assert home.backends[0].responses[4] == 2


async def test_after_a_refused_token_no_request_is_answered_as_the_user_before(front: Build, asked: Asked) -> None:
    home = front()
    client, lane = await bound(home, asked)
    await ask(client, lane)
    await ask(client, lane, kerberos("bob"), reply=answer(b"no", OFFER, status=UNAUTHORIZED))
    assert await lane.rest() == b""
    await first(home, client, 0)
    assert (asked.times, home.records[-1].lane) == (2, "shared")


@pytest.mark.parametrize("end", ["closed", "junk"])
async def test_a_lane_that_is_not_quiet_is_left(front: Build, asked: Asked, end: str) -> None:
    """Both are there at once: the request, and what the backend did to the lane."""
    home = front()
    client, lane = await bound(home, asked)
    await ask_over_another(home, client, lane, end)
    assert (home.site.on_fast_path, home.records[-1].lane, await state(home)) == (0, "shared", binding.State.OPEN)
    assert home.backends[0].lanes.private == 0


async def test_a_lane_that_fails_is_forgotten_and_another_backend_asked(front: Build, asked: Asked) -> None:
    home = front(2)
    client, lane = await bound(home, asked)
    await client.send(request())
    await lane.head()
    lane.reset()
    new = await home.places[1].lane()
    await new.head()
    await new.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    assert (asked.times, await state(home)) == (0, binding.State.OPEN)
    assert (home.records[-1].backend, home.records[-1].tries, home.records[-1].lane) == ("c2", 2, "shared")
    assert [backend.active for backend in home.backends] == [0, 0]


async def test_an_answer_of_retry_statuses_is_the_lane_s(front: Build, asked: Asked) -> None:
    home = front(2, retry_statuses=[503])
    client, lane = await bound(home, asked)
    await ask(client, lane, reply=head(b"Content-Length: 0", status=b"503 No"))
    assert (home.records[-1].backend, home.records[-1].status, home.backends[1].requests) == ("c1", 503, 0)
    assert (home.site.on_fast_path, home.backends[0].errors_in_row) == (0, 1)


@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_a_backend_that_drains_has_its_last_answer(front: Build, asked: Asked, when: str) -> None:
    home = front(2)
    client, lane = await bound(home, asked)
    if when == "before":
        home.pool.drain(home.backends[0])
    await client.send(request())
    await lane.head()
    if when == "meanwhile":
        home.pool.drain(home.backends[0])
    await lane.send(answer(b"ok"))
    assert b"\r\nConnection: close\r\n" in await client.head()
    assert await client.rest() == b"ok"
    assert (asked.times, home.site.on_fast_path) == (1 if when == "before" else 0, 0)
    assert await lane.rest() == b""


async def test_a_client_that_goes_takes_the_lane_with_it(front: Build, asked: Asked) -> None:
    home = front()
    client, lane = await bound(home, asked)
    await client.send(request())
    await lane.head()
    client.close()
    assert await lane.rest() == b""
    await until(lambda: len(home.records) == 2)
    assert (home.ends[-1], home.backends[0].active, home.site.on_fast_path) == ("client_gone", 0, 0)
    assert home.backends[0].lanes.private == 0


async def test_one_whose_lanes_are_its_own_from_the_beginning_asks_for_each(front: Build, asked: Asked) -> None:
    home = front(send_proxy="v1")
    client = await home.connect()
    await client.send(request(b"GET /x", kerberos()))
    lane = await home.places[0].lane()
    assert (await lane.head()).startswith(b"PROXY ")
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    await ask(client, lane)
    assert (asked.times, home.site.on_fast_path) == (2, 0)
