"""Requests of which nothing is to be decided: the data path serves them by itself, and as the policy would."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lbproxy import reasons
from lbproxy.balance.health import Change
from lbproxy.net.upstream.shared import LaneCore, LanesCore
from tests.balance.heard import Verdicts
from tests.net.conftest import Asked, Build
from tests.net.dialogue import answer, head, request
from tests.net.http.client.visits import UNAUTHORIZED, ask, ask_over_another, authenticated, connections, first
from tests.net.listener_fixture import BEARER, OFFER, ListenerFixture, kerberos, ntlm
from tests.net.peers import Peer, until


async def warm(home: ListenerFixture, asked: Asked) -> tuple[Peer, Peer]:
    """A client, and the far end of the shared lane to the first backend, which rests."""
    client = await home.connect()
    lane = await first(home, client, 0)
    asked.times = 0
    return client, lane


async def test_the_policy_is_not_asked(front: Build, asked: Asked) -> None:
    home = front()
    client, lane = await warm(home, asked)
    for _ in range(3):
        await ask(client, lane)
    backend = home.backends[0]
    assert asked.times == 0
    assert home.site.on_fast_path == 3
    assert (backend.requests, backend.active, backend.responses, backend.lanes_opened) == (4, 0, [0, 0, 4, 0, 0, 0], 1)
    assert home.listener.ends == {"done": 4}
    [connection] = await connections(home)
    assert (connection.exchange.lane, connection.exchange.served_by, connection.exchange.tries) == (None, None, 0)


async def test_a_post_is_plain_for_it_is_never_sent_again(front: Build, asked: Asked) -> None:
    home = front(2)
    client = await home.connect()
    lanes = [await first(home, client, number) for number in range(2)]
    asked.times = 0
    await client.send(request(b"POST /x", b"Content-Length: 4") + b"ab")
    await lanes[0].head()
    assert await lanes[0].exactly(2) == b"ab"
    await client.send(b"cd")
    assert await lanes[0].exactly(2) == b"cd"
    await lanes[0].send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    assert (asked.times, home.site.on_fast_path) == (0, 1)
    await client.send(request(b"POST /x", b"Content-Length: 2") + b"ab")
    await lanes[1].head()
    lanes[1].reset()
    assert b" 502 " in await client.head()
    assert (asked.times, home.site.on_fast_path, home.ends[-1]) == (0, 1, "lane_stale")
    assert [backend.active for backend in home.backends] == [0, 0]


async def test_every_backend_has_its_turn_whoever_gives_it(front: Build, asked: Asked) -> None:
    """Requests for which the policy is asked, and others, in one round robin."""
    home = front(3)
    client = await home.connect()
    lanes = [await first(home, client, number) for number in range(3)]
    asked.times = 0
    for turn in range(9):
        await ask(client, lanes[turn % 3], *((BEARER,) if turn % 2 else ()))
    assert asked.times == 4
    assert [backend.requests for backend in home.backends] == [4, 4, 4]


async def test_the_access_log_shows_no_difference(front: Build, asked: Asked) -> None:
    home = front()
    client, lane = await warm(home, asked)
    await ask(client, lane)
    await ask(client, lane, BEARER)
    assert asked.times == 1
    plain, other = (record._asdict() for record in home.records[1:])
    differing = {"time", "bytes_in", "connect_ms", "first_byte_ms", "total_ms"}
    assert {key for key in plain if plain[key] != other[key]} <= differing
    assert (plain["backend"], plain["lane"], plain["reused"], plain["tries"], plain["reason"]) == (
        *("c1", "shared", True, 1, "done"),
    )
    assert 0 <= plain["connect_ms"] <= plain["first_byte_ms"] <= plain["total_ms"]


def _retire(home: ListenerFixture) -> None:
    home.backends[0].lanes.close_idle(reasons.LANE_RETIRED)


def _nothing(_: ListenerFixture) -> None:
    pass


@pytest.mark.parametrize(
    ("line", "lines", "before"),
    [
        (b"GET /x", (BEARER,), _nothing),
        (b"GET /x", (b"Authorization: Basic YTpi",), _nothing),
        (b"PUT /x", (b"Content-Length: 2", b"", b"ab"), _nothing),
        (b"GET /x", (b"Content-Length: 2", b"", b"ab"), _nothing),
        (b"POST /x", (b"Content-Length: 2", b"Idempotency-Key: 1", b"", b"ab"), _nothing),
        (b"GET /x", (), _retire),
    ],
    ids=["bearer", "basic", "put", "get with a body", "idempotency key", "no idle lane"],
)
async def test_the_policy_is_asked(
    front: Build, asked: Asked, line: bytes, lines: tuple[bytes, ...], before: Callable[[ListenerFixture], None]
) -> None:
    home = front()
    client, lane = await warm(home, asked)
    before(home)
    rest = lines[-1] if b"" in lines else b""
    await client.send(request(line, *[each for each in lines if each and each != rest]) + rest)
    if before is _retire:
        lane = await home.places[0].lane()
    assert (await lane.head()).startswith(line)
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    assert (asked.times, home.site.on_fast_path) == (1, 0)


@pytest.mark.parametrize("end", ["closed", "junk"])
async def test_a_lane_that_is_not_quiet_is_the_policys(front: Build, asked: Asked, end: str) -> None:
    """Both are there at once: the request, and what the backend did to the lane."""
    home = front()
    client, lane = await warm(home, asked)
    await ask_over_another(home, client, lane, end)
    assert home.site.on_fast_path == 0
    assert home.ends == ["done", "done"]


async def test_private_lanes_are_never_taken(front: Build, asked: Asked) -> None:
    """By others. Its owner's next request goes there, and all that could change that is the policy's (`test_bound`)."""
    home = front()
    alice, bob = await home.connect(), await home.connect()
    private = await authenticated(home, alice)
    shared = await first(home, bob, 0)
    asked.times = 0
    for _ in range(2):
        await ask(bob, shared)
        await ask(alice, private)
    assert asked.times == 0
    await ask(alice, private, kerberos("carol"))
    assert asked.times == 1, "each request with a credential is looked at"


async def test_a_client_whose_lanes_are_its_own_asks_for_each_request(front: Build, asked: Asked) -> None:
    home = front(send_proxy="v1")
    client = await home.connect()
    await client.send(request())
    lane = await home.places[0].lane()
    assert (await lane.head()).startswith(b"PROXY ")
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    await ask(client, lane)
    assert (asked.times, home.site.on_fast_path) == (2, 0)


async def test_an_offer_makes_the_lane_private(front: Build, asked: Asked) -> None:
    home = front()
    client, lane = await warm(home, asked)
    offer = head(OFFER, b"Content-Length: 0", status=UNAUTHORIZED)
    await ask(client, lane, reply=offer)
    assert (asked.times, home.site.on_fast_path, home.backends[0].lanes.private) == (0, 0, 1)
    await ask(client, lane, ntlm(1))
    assert asked.times == 1


@pytest.mark.parametrize("status", [b"404 No", b"503 No"])
async def test_an_error_is_told(front: Build, asked: Asked, status: bytes) -> None:
    home = front()
    client, lane = await warm(home, asked)
    await ask(client, lane, reply=head(b"Content-Length: 0", status=status))
    backend = home.backends[0]
    assert (asked.times, home.site.on_fast_path) == (0, 0)
    assert backend.responses[int(status[:1])] == 1
    assert backend.errors_in_row == (1 if status.startswith(b"503") else 0)
    await ask(client, lane)
    assert (backend.errors_in_row, home.site.on_fast_path) == (0, 1)


async def test_who_fails_is_left_for_another(front: Build, asked: Asked) -> None:
    home = front(2)
    client = await home.connect()
    one, _ = [await first(home, client, number) for number in range(2)]
    asked.times = 0
    await client.send(request())
    await one.head()
    one.reset()
    new = await home.places[1].lane()
    await new.head()
    await new.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    assert (asked.times, home.site.on_fast_path) == (0, 0)
    assert [home.records[-1].backend, home.records[-1].tries, home.records[-1].reason] == ["c2", 2, "done"]
    assert [backend.active for backend in home.backends] == [0, 0]


async def test_the_lane_closes_when_its_backend_has_left_meanwhile(front: Build, asked: Asked) -> None:
    home = front(2)
    client, lane = await warm(home, asked)
    home.pool.rotation.take_turn()
    await client.send(request())
    await lane.head()
    home.pool.drain(home.backends[0])
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    assert await lane.rest() == b""
    assert (asked.times, home.site.on_fast_path, home.backends[0].lanes.idle) == (0, 0, [])


async def test_the_policy_is_asked_while_shares_differ(front: Build, asked: Asked) -> None:
    home = front(2)
    client = await home.connect()
    one, _ = [await first(home, client, number) for number in range(2)]
    home.backends[0].weight = 2
    home.pool.rotation.weigh(home.backends[0])
    asked.times = 0
    await client.send(request())
    await one.head()
    await one.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    assert asked.times == 1


async def test_an_ejection_moves_a_request_on_its_way(front: Build, asked: Asked) -> None:
    home = front(2)
    client = await home.connect()
    one, other = [await first(home, client, number) for number in range(2)]
    [connection] = await connections(home)
    home.pool.observers.append(
        Verdicts(lambda backend, change, *_: connection.ejected(backend) if change is Change.EJECT else None)
    )
    asked.times = 0
    await client.send(request())
    await one.head()
    for _ in range(3):
        home.pool.probed(home.backends[0], False, "", home.poller.now)
    await other.head()
    await other.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    assert asked.times == 0
    assert (home.records[-1].backend, home.records[-1].tries) == ("c2", 2)


async def test_a_client_that_goes_takes_the_lane_with_it(front: Build, asked: Asked) -> None:
    home = front()
    client, lane = await warm(home, asked)
    await client.send(request())
    await lane.head()
    client.close()
    assert await lane.rest() == b""
    await until(lambda: len(home.records) == 2)
    assert (home.ends[-1], home.backends[0].active, home.site.on_fast_path) == ("client_gone", 0, 0)


@pytest.mark.parametrize("lines", [(), (BEARER,)], ids=["plain", "asked"])
async def test_a_fault_after_the_lane_rests_leaves_it_whole(front: Build, lines: tuple[bytes, ...]) -> None:
    """The log comes last: a lane whose stream is closed must not stay among the idle ones."""

    def faulty(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    home = front()
    client = await home.connect()
    lane = await first(home, client, 0)
    home.web.log = faulty
    await client.send(request(b"GET /x", *lines))
    await lane.head()
    await lane.send(answer(b"ok"))
    await client.is_reset()
    home.web.log = home.records.append
    assert [idle.stream.closed for idle in home.backends[0].lanes.idle] == [False]
    await ask(await home.connect(), lane, *lines)


def test_a_lane_is_made_whole() -> None:
    """Typed code uses its parts without a look whether they are there."""
    lanes = LanesCore()
    assert (lanes.idle, lanes.idle_timeout, lanes.private, lanes.ends) == ([], 0.0, 0, {})
    with pytest.raises(TypeError, match="positional argument"):
        LaneCore()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="'backend' has incorrect type"):
        LaneCore(lanes, None, None, None)  # type: ignore[arg-type]
