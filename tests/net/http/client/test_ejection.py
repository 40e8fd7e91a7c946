"""A backend is ejected, or suspected, while requests wait on it."""

from __future__ import annotations

import pytest

from lbproxy import reasons
from lbproxy.net.transport.poller import Poller
from lbproxy.reasons import Reason
from tests.balance.heard import Verdicts
from tests.net.conftest import Build
from tests.net.dialogue import answer, head, request
from tests.net.http.client.visits import UNAUTHORIZED, ask, authenticated, connections, first
from tests.net.listener_fixture import LEG, ListenerFixture, kerberos, ntlm
from tests.net.peers import Peer, let_expire, turn, until

KEY = b"Idempotency-Key: 17"
LENGTH = b"Content-Length: 5"
CLOSE = b"Connection: close"


async def eject(home: ListenerFixture, number: int = 0) -> None:
    """As `process.worker` does it when it hears of an ejection."""
    home.pool.evidence(home.backends[number], reasons.CONNECT_REFUSED, 0.0)
    for connection in await connections(home):
        connection.ejected(home.backends[number])


async def waits_on(
    home: ListenerFixture, client: Peer, *lines: bytes, line: bytes = b"GET /x", body: bytes = b""
) -> Peer:
    """The first backend has got a request, and is silent; its lane."""
    await client.send(request(line, *lines, body=body))
    lane = await home.places[0].lane()
    await lane.head()
    await lane.sees(body)
    return lane


async def moves(home: ListenerFixture, client: Peer, lane: Peer, body: bytes = b"") -> None:
    """It is ejected, and the second backend answers."""
    await eject(home)
    assert await lane.rest() == b""
    other = await home.places[1].lane()
    await other.head()
    await other.sees(body)
    await other.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    assert (home.records[-1].backend, home.records[-1].tries, home.records[-1].reason) == ("c2", 2, "done")


async def stays(home: ListenerFixture, client: Peer, lane: Peer, *lines: bytes) -> None:
    """It is ejected, and answers all the same; lines: that its answer gets."""
    await eject(home)
    await lane.send(answer(b"late"))
    await client.sees(answer(b"late", *lines))
    assert home.records[-1].backend == "c1"
    assert await lane.rest() == b"", "lanes of an ejected backend do not rest"


# --- a request that was sent


@pytest.mark.parametrize(
    ("line", "lines", "body"),
    [(b"GET /x", (), b""), (b"GET /x", (LENGTH,), b"hello"), (b"POST /x", (LENGTH, KEY), b"hello")],
)
async def test_a_replayable_request_moves_at_once(
    front: Build, line: bytes, lines: tuple[bytes, ...], body: bytes
) -> None:
    home = front(2)
    client = await home.connect()
    lane = await waits_on(home, client, *lines, line=line, body=body)
    await moves(home, client, lane, body)
    assert home.lane_ends == {"backend_ejected": 1}


async def test_any_other_goes_on_waiting(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    await stays(home, client, await waits_on(home, client, LENGTH, line=b"POST /x", body=b"hello"))


async def test_one_with_a_token_goes_on_waiting_and_is_then_asked_to_leave(front: Build) -> None:
    """Or the next request would follow its lane to a backend that may be frozen."""
    home = front(2)
    client = await home.connect()
    lane = await waits_on(home, client, LENGTH, KEY, kerberos(), line=b"POST /x", body=b"hello")
    await stays(home, client, lane, CLOSE)
    assert await client.rest() == b""


async def test_it_goes_on_waiting_where_it_can_go_nowhere(front: Build) -> None:
    home = front(1)
    client = await home.connect()
    await stays(home, client, await waits_on(home, client))


async def test_a_move_costs_nothing_of_the_budget(front: Build) -> None:
    home = front(2)
    home.pool.retry_budget.ratio, home.pool.retry_budget.floor = 0.0, 0
    client = await home.connect()
    await waits_on(home, client)
    await eject(home)
    lane = await home.places[1].lane()
    await lane.head()
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))


async def test_an_answer_that_has_begun_goes_on(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    lane = await waits_on(home, client)
    await lane.send(b"HTTP/1.1 200 OK\r\n")
    [connection] = await connections(home)
    await until(lambda: not connection.exchange.untouched())
    await eject(home)
    await lane.send(b"Content-Length: 2\r\n\r\nok")
    await client.sees(head(b"Content-Length: 2") + b"ok")


async def test_others_are_left_alone(front: Build) -> None:
    home = front(2)
    client, idle = await home.connect(), await home.connect()
    lane = await waits_on(home, client)
    await first(home, idle, 1)
    await eject(home, 1)
    await lane.send(answer(b"late"))
    await client.sees(answer(b"late"))
    assert home.records[-1].tries == 1


# --- a request that leans on its lane


async def test_one_of_somebody_authenticated_moves_and_is_nobodys(front: Build) -> None:
    """Which a browser answers with a fresh ticket, unseen by its user."""
    home = front(2)
    client = await home.connect()
    lane = await authenticated(home, client, 0)
    await client.send(request())
    await lane.head()
    await moves(home, client, lane)
    assert home.records[-1].lane == "shared"


async def test_one_inside_an_exchange_goes_on_waiting(front: Build) -> None:
    """To move would be to close the client's connection (rule 5), and the backend may answer yet."""
    home = front(2)
    client = await home.connect()
    leg = answer(b"", LEG, status=UNAUTHORIZED)
    lane = await first(home, client, 0, ntlm(1), reply=leg)
    await client.send(request())
    await lane.head()
    await eject(home)
    await lane.send(leg)
    await client.sees(leg)
    await client.send(request(b"GET /x", ntlm(3)))
    await lane.head()
    await stays(home, client, lane, CLOSE)


# --- lanes of the client's own that rest


async def test_a_lane_that_is_followed_is_left(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    lane = await authenticated(home, client, 0)
    await eject(home)
    assert await lane.rest() == b""
    assert home.lane_ends == {"lane_ejected": 1}
    await first(home, client, 1)
    assert home.records[-1].lane == "shared"


async def test_a_client_in_an_exchange_starts_again(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    lane = await first(home, client, 0, ntlm(1), reply=answer(b"", LEG, status=UNAUTHORIZED))
    await eject(home)
    assert await lane.rest() == b""
    assert await client.rest() == b""
    assert home.listener.ends["auth_lane_lost"] == 1


async def test_a_lane_that_is_not_followed_is_left_too(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    lane, followed = [await authenticated(home, client, number) for number in (0, 1)]
    await eject(home)
    assert await lane.rest() == b""
    await ask(client, followed)


async def test_with_nobody_else_there_they_are_kept(front: Build) -> None:
    """The probes may be wrong, and nothing would be won."""
    home = front()
    client = await home.connect()
    lane = await authenticated(home, client, 0)
    await eject(home)
    await ask(client, lane)
    await ask(client, lane)


# --- a request that was not sent


@pytest.mark.parametrize("line", [b"GET /x", b"POST /x"])
async def test_any_request_moves_while_its_lane_is_awaited(front: Build, line: bytes) -> None:
    home = front(2)
    with home.places[0].accepts_nobody():
        client = await home.connect()
        await client.send(request(line, LENGTH, kerberos(), body=b"hello"))
        [connection] = await connections(home)
        await until(lambda: connection.exchange.lane)
        await eject(home)
        lane = await home.places[1].lane()
        await lane.head()
        await lane.sees(b"hello")
        await lane.send(answer(b"ok"))
        await client.sees(answer(b"ok"))
    assert (home.records[0].tries, home.backends[0].active) == (2, 0)
    assert home.lane_ends == {"lane_ejected": 1}


async def test_unless_there_is_nobody_else(front: Build) -> None:
    home = front()
    with home.places[0].accepts_nobody():
        client = await home.connect()
        await client.send(request())
        [connection] = await connections(home)
        await until(lambda: connection.exchange.lane)
        await eject(home)
        assert home.backends[0].active == 1
        client.reset()
        await until(lambda: home.records)


# --- suspicion


async def test_a_slow_answer_is_told_as_a_suspicion(front: Build, poller: Poller) -> None:
    home = front(slow_after=1.0)
    told: list[Reason | None] = []
    home.pool.observers.append(Verdicts(lambda backend, change, reason, detail: told.append(reason)))
    client = await home.connect()
    lane = await waits_on(home, client)
    [connection] = await connections(home)
    assert connection.exchange.link is not None
    let_expire(poller, connection.exchange.link)
    await turn()
    assert told == [reasons.RESPONSE_SLOW]
    assert (home.backends[0].errors, home.backends[0].in_rotation) == (0, True)
    await lane.send(answer(b"late"))
    await client.sees(answer(b"late"))
