"""What a client gets when a backend fails, and what the backend is charged with."""

from __future__ import annotations

import pytest

from lbproxy import reasons
from lbproxy.balance.backend import State
from lbproxy.net.transport.poller import Poller
from tests.balance.heard import Verdicts
from tests.net.conftest import Build
from tests.net.dialogue import answer, request
from tests.net.http.client.visits import connections, first
from tests.net.listener_fixture import kerberos
from tests.net.peers import let_expire, until


async def test_a_get_on_a_stale_lane_gets_another_one(front: Build) -> None:
    """Also where there is one backend only: it closed an idle lane, and is as good as before."""
    home = front()
    client = await home.connect()
    lane = await first(home, client, 0)
    await client.send(request())
    await lane.head()
    lane.finish()
    fresh = await home.places[0].lane()
    await fresh.head()
    await fresh.send(answer(b"fresh"))
    await client.sees(answer(b"fresh"))
    backend = home.backends[0]
    assert (backend.state, backend.errors) == (State.UP, 0)
    assert (home.records[-1].tries, home.records[-1].reused) == (2, False)


@pytest.mark.parametrize("line", [b"POST /x", b"PUT /x", b"DELETE /x"])
async def test_what_may_count_twice_is_not_sent_twice(front: Build, line: bytes) -> None:
    home = front(2)
    client = await home.connect()
    lanes = [await first(home, client, number) for number in (0, 1)]
    await client.send(request(line, b"Content-Length: 0"))
    await lanes[0].head()
    lanes[0].finish()
    await client.sees(b"HTTP/1.1 502 ")
    assert home.ends[-1] == "lane_stale"
    assert home.backends[0].state is State.UP


@pytest.mark.parametrize("failure", [b"", b"HTTP/1.1 200 OK\r\nCont"])
async def test_a_get_moves_on_from_a_backend_that_fails(front: Build, failure: bytes) -> None:
    home = front(2)
    client = await home.connect()
    await client.send(request())
    lane = await home.places[0].lane()
    await lane.head()
    await lane.send(failure)
    lane.finish()
    other = await home.places[1].lane()
    await other.head()
    await other.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    assert home.backends[0].state is State.DOWN
    assert home.backends[0].retried_from == 1
    reason = "response_cut_head" if failure else "lane_lost"
    assert (home.lane_ends, home.listener.ends) == ({reason: 1}, {"done": 1}), (
        "told by the lane, as the request did well"
    )


async def test_the_log_says_who_sent_a_malformed_answer(front: Build, caplog: pytest.LogCaptureFixture) -> None:
    home = front(2)
    client = await home.connect()
    await client.send(request())
    lane = await home.places[0].lane()
    await lane.head()
    await lane.send(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n")
    await client.sees(b"HTTP/1.1 502 ")
    [record] = caplog.records
    fields = {name: str(value) for name, value in record.__dict__["fields"].items()}
    assert record.message == "response_refused"
    assert fields["rule"] == "bare_lf"
    assert f"lane to {home.backends[0].name}," in fields["lane"]
    assert f" on {home.listener.name}>" in fields["client"]


async def test_no_backend_is_left(front: Build) -> None:
    home = front(2)
    for place in home.places:
        place.listener.close()
    client = await home.connect()
    for _ in range(2):
        await client.send(request())
        await client.sees(b"HTTP/1.1 503 ")
        await until(lambda: home.records)
        assert b"Retry-After: 2\r\n" in await client.receive()
    assert home.ends == ["no_backend", "no_backend"]
    assert [record.tries for record in home.records] == [2, 0]


async def test_a_timeout_is_no_verdict(front: Build, poller: Poller) -> None:
    home = front()
    client = await home.connect()
    suspected: list[object] = []
    home.pool.observers.append(Verdicts(lambda backend, change, reason, detail: suspected.append(reason)))
    await client.send(request())
    lane = await home.places[0].lane()
    await lane.head()
    [connection] = await connections(home)
    assert connection.exchange.link is not None
    let_expire(poller, connection.exchange.link)
    await client.sees(b"HTTP/1.1 504 ")
    assert suspected == [reasons.RESPONSE_TIMEOUT]
    assert home.backends[0].state is State.UP


async def test_a_lane_that_cannot_be_had_in_time(front: Build, poller: Poller) -> None:
    home = front(2)
    with home.places[0].accepts_nobody():
        client = await home.connect()
        await client.send(request(b"POST /x", kerberos(), b"Content-Length: 5", body=b"hello"))
        [connection] = await connections(home)
        await until(lambda: connection.exchange.lane)
        assert connection.exchange.lane is not None
        let_expire(poller, connection.exchange.lane.stream)
        assert not home.backends[0].in_rotation
        lane = await home.places[1].lane()
        await lane.head()
        await lane.sees(b"hello")
