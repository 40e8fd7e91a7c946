"""Which requests are sent a second time, to whom, and when not."""

from __future__ import annotations

import pytest

from lbproxy import reasons
from lbproxy.balance.backend import State
from tests.net.conftest import Build
from tests.net.dialogue import answer, request
from tests.net.http.client.visits import UNAUTHORIZED, ask, authenticated, first
from tests.net.listener_fixture import OFFER, ListenerFixture, kerberos
from tests.net.peers import Peer

KEY = b"Idempotency-Key: 17"
LENGTH = b"Content-Length: 5"
UNAVAILABLE = answer(b"busy", status=b"503 Service Unavailable")
BAD_GATEWAY = b"HTTP/1.1 502 "


async def fails_on(home: ListenerFixture, number: int, body: bytes = b"") -> None:
    """The backend of this number gets a request, with all of its body, and closes the lane."""
    lane = await home.places[number].lane()
    await lane.head()
    await lane.sees(body)
    lane.finish()


async def answers_on(home: ListenerFixture, client: Peer, number: int, body: bytes = b"") -> Peer:
    """The backend of this number gets a request over a new lane, and answers."""
    lane = await home.places[number].lane()
    await lane.head()
    await lane.sees(body)
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    return lane


# --- which requests


@pytest.mark.parametrize("line", [b"GET /x", b"POST /x", b"PUT /x"])
async def test_a_body_that_is_kept_goes_along(front: Build, line: bytes) -> None:
    home = front(2)
    client = await home.connect()
    key = () if line.startswith(b"GET") else (KEY,)
    await client.send(request(line, LENGTH, *key, body=b"hello"))
    await fails_on(home, 0, b"hello")
    await answers_on(home, client, 1, b"hello")
    assert (home.records[-1].backend, home.records[-1].tries, home.records[-1].reason) == ("c2", 2, "done")


@pytest.mark.parametrize("lines", [(), (KEY, kerberos())], ids=["no key", "a token"])
async def test_what_may_not_be_repeated_is_not(front: Build, lines: tuple[bytes, ...]) -> None:
    home = front(2)
    client = await home.connect()
    await client.send(request(b"POST /x", LENGTH, *lines, body=b"hello"))
    await fails_on(home, 0, b"hello")
    await client.sees(BAD_GATEWAY)
    assert home.backends[1].lanes_opened == 0


async def test_a_body_larger_than_retry_buffer_is_not_repeated(front: Build) -> None:
    home = front(2, retry_buffer=4)
    client = await home.connect()
    await client.send(request(b"GET /x", LENGTH, body=b"hello"))
    await fails_on(home, 0, b"hello")
    await client.sees(BAD_GATEWAY)
    assert home.backends[1].lanes_opened == 0


async def test_with_the_budget_spent_it_is_not_repeated(front: Build) -> None:
    """But for a stale lane: there no backend has failed."""
    home = front(3)
    home.pool.retry_budget.ratio, home.pool.retry_budget.floor = 0.0, 0
    client = await home.connect()
    lane = await first(home, client, 0)
    await client.send(request())
    await fails_on(home, 1)
    await client.sees(BAD_GATEWAY)
    assert home.ends[-1] == "lane_lost"
    other = await home.connect()
    await first(home, other, 2)
    await other.send(request())
    await lane.head()
    lane.finish()
    await answers_on(home, other, 2)


# --- to whom


async def test_after_a_stale_lane_another_backend_gets_a_fresh_one(front: Build) -> None:
    """Whatever closed the lane may have closed all that were idle, on every backend."""
    home = front(2)
    client = await home.connect()
    lanes = [await first(home, client, number) for number in (0, 1)]
    await client.send(request())
    await lanes[0].head()
    lanes[0].finish()
    await answers_on(home, client, 1)
    assert (home.records[-1].backend, home.records[-1].reused) == ("c2", False)
    await first(home, client, 0)  # whose turn it is again, and who has no lane left
    await ask(client, home.places[1].lanes[-1])


async def test_after_another_failure_it_may_be_a_lane_that_is_there(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    lanes = [await first(home, client, number) for number in (0, 1)]
    await client.send(request())
    await lanes[0].head()
    await lanes[0].send(b"HTTP/1.1 200 OK\r\n")
    lanes[0].finish()
    await lanes[1].head()
    await lanes[1].send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    assert home.records[-1].reused


async def test_when_nobody_is_left_the_last_failure_is_told(front: Build) -> None:
    """The last backend in rotation stays there, so it would be untrue that none is."""
    home = front(2)
    client = await home.connect()
    await client.send(request())
    await fails_on(home, 0)
    await fails_on(home, 1)
    await client.sees(BAD_GATEWAY)
    assert [backend.in_rotation for backend in home.backends] == [False, True]
    assert (home.ends, home.records[0].tries) == (["lane_lost"], 2)


async def test_when_nobody_is_in_rotation_that_is_told(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    home.places[1].listener.close()
    await client.send(request())
    lane = await home.places[0].lane()
    await lane.head()
    home.pool.evidence(home.backends[0], reasons.CONNECT_REFUSED, 0.0)
    lane.finish()
    await client.sees(b"HTTP/1.1 503 ")
    assert home.ends == ["no_backend"]


# --- answers that are not good enough


async def test_an_answer_of_retry_statuses_is_asked_for_elsewhere(front: Build) -> None:
    home = front(2, retry_statuses=[503])
    client = await home.connect()
    await client.send(request(b"POST /x", LENGTH, KEY, body=b"hello"))
    lane = await home.places[0].lane()
    await lane.head()
    await lane.sees(b"hello")
    await lane.send(UNAVAILABLE)
    await answers_on(home, client, 1, b"hello")
    assert await lane.rest() == b"", "the rest of its answer is not waited for"
    refused, answered = home.backends[0], home.backends[1]
    assert (refused.errors_in_row, refused.in_rotation) == (1, True)
    assert (home.lane_ends, home.ends) == ({"status_retried": 1}, ["done"])
    for backend, status in ((refused, 5), (answered, 2)):
        assert (backend.active, backend.requests, backend.responses[status]) == (0, 1, 1)
        assert sum(backend.latency.buckets) == 1, "how long it took to answer"


@pytest.mark.parametrize("why", ["no other", "all tried", "a POST", "the budget"])
async def test_or_it_is_passed_on(front: Build, why: str) -> None:
    home = front(1 if why == "no other" else 2, retry_statuses=[503])
    if why == "the budget":
        home.pool.retry_budget.ratio, home.pool.retry_budget.floor = 0.0, 0
    client = await home.connect()
    await client.send(request(b"POST /x" if why == "a POST" else b"GET /x"))
    for place in home.places if why == "all tried" else home.places[:1]:
        lane = await place.lane()
        await lane.head()
        await lane.send(UNAVAILABLE)
    await client.sees(UNAVAILABLE)
    assert (home.ends, home.records[0].status) == (["done"], 503)


async def test_a_lane_of_the_clients_own_is_not_left_for_it(front: Build) -> None:
    home = front(2, retry_statuses=[503])
    client = await home.connect()
    lane = await first(home, client, 0, reply=answer(b"who?", OFFER, status=UNAUTHORIZED))
    await first(home, client, 1)
    await ask(client, lane, reply=UNAVAILABLE)


async def test_errors_that_nobody_sees_count_all_the_same(front: Build) -> None:
    home = front(2, retry_statuses=[503])
    client = await home.connect()
    lanes = [await first(home, client, 0)]
    other = await first(home, client, 1)
    for _ in range(3):
        await client.send(request())
        lane = lanes.pop() if lanes else await home.places[0].lane()
        await lane.head()
        await lane.send(UNAVAILABLE)
        await other.head()
        await other.send(answer(b"ok"))
        await client.sees(answer(b"ok"))
    assert home.backends[0].state is State.DOWN
    assert (home.backends[0].responses[5], home.backends[1].responses[5]) == (3, 0), "no client saw them, but they were"
    assert (home.backends[0].retried_from, home.backends[1].retried_to) == (3, 3)
    assert (home.backends[0].retried_to, home.backends[1].retried_from) == (0, 0)


# --- whose lane it was


async def test_whoever_was_authenticated_starts_anew(front: Build) -> None:
    """A request without a token followed its lane; elsewhere it is nobody's, and will be asked who it is."""
    home = front(2)
    client = await home.connect()
    lane = await authenticated(home, client, 0)
    await client.send(request())
    await lane.head()
    lane.finish()
    await answers_on(home, client, 1)
    assert home.records[-1].lane == "shared"
