"""What the counters of backends get of requests: bytes, the time of the first byte, and those that moved."""

from __future__ import annotations

import pytest

from lbproxy.net.transport.poller import monotonic
from tests.net.conftest import Build
from tests.net.dialogue import answer, forwarded, head, request
from tests.net.http.client.visits import UPGRADE, ask, authenticated, first, upgraded
from tests.net.listener_fixture import ListenerFixture
from tests.net.peers import until


def observed(home: ListenerFixture, number: int = 0) -> int:
    """How many answers there are in the histogram of a backend."""
    return sum(home.backends[number].latency.buckets)


@pytest.mark.parametrize("private", [False, True])
async def test_every_answer_is_in_the_histogram(front: Build, private: bool) -> None:
    home = front()
    client = await home.connect()
    lane = await (authenticated(home, client) if private else first(home, client, 0))
    for _ in range(3):
        await ask(client, lane)
    assert observed(home) == sum(home.backends[0].responses) == 4


async def test_a_slow_upload_is_no_time_of_the_backend(front: Build) -> None:
    home = front()
    client = await home.connect()
    await client.send(request(b"POST /x", b"Content-Length: 10", body=b"hello"))
    lane = await home.places[0].lane()
    await lane.head()
    await lane.sees(b"hello")
    almost = monotonic()
    await client.send(b"world")
    await lane.sees(b"world")
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    assert 0 < home.backends[0].latency.seconds < monotonic() - almost


async def test_the_time_until_a_backend_begins_is_counted(front: Build) -> None:
    """Interim answers are none."""
    home = front()
    client = await home.connect()
    await client.send(request())
    lane = await home.places[0].lane()
    await lane.head()
    sent = monotonic()
    await lane.send(head(status=b"103 Early Hints"))
    await client.sees(head(status=b"103 Early Hints"))
    assert observed(home) == 0
    passed = monotonic() - sent
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    assert home.backends[0].latency.seconds > passed
    assert observed(home) == 1


async def test_bytes_are_counted_in_both_directions(front: Build) -> None:
    home = front()
    client = await home.connect()
    lane = await first(home, client, 0)
    await ask(client, lane, reply=answer(b"x" * 100))
    backend = home.backends[0]
    assert backend.bytes_to == 2 * len(forwarded())
    assert backend.bytes_from == len(answer(b"ok")) + len(answer(b"x" * 100))


async def test_the_bytes_of_a_request_that_failed_are_counted_where_they_went(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    await client.send(request())
    lane = await home.places[0].lane()
    await lane.head()
    await lane.send(b"HTTP/1.1 200 OK\r\nCont")
    lane.finish()
    other = await home.places[1].lane()
    await other.head()
    await other.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    failed, served = home.backends
    assert (failed.bytes_to, failed.bytes_from) == (len(forwarded()), len(b"HTTP/1.1 200 OK\r\nCont"))
    assert (served.bytes_to, served.bytes_from) == (len(forwarded()), len(answer(b"ok")))
    assert (failed.retried_from, failed.retried_to, served.retried_to) == (1, 0, 1)
    assert [observed(home, number) for number in range(2)] == [0, 1]


async def test_the_bytes_of_a_tunnel_are_counted_at_its_end(front: Build) -> None:
    home = front()
    client, lane = await upgraded(home)
    await client.send(b"ping")
    await lane.sees(b"ping")
    client.finish()
    lane.finish()
    await until(lambda: not home.listener.connections)
    backend = home.backends[0]
    assert backend.bytes_from == len(head(*UPGRADE, status=b"101 Switching Protocols") + b"hi")
    assert backend.bytes_to > len(b"ping") + 100
    assert observed(home) == 1
