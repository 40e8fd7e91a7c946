"""The rule of lanes (docs/lanes.md), over real connections."""

from __future__ import annotations

import logging

import pytest

from lbproxy import reasons
from lbproxy.auth import binding
from lbproxy.balance.backend import State
from lbproxy.net.client import ClientConnection
from lbproxy.net.lane import ANYBODY, Lane, Lanes, Personal, Waiter
from lbproxy.net.stream import Poller
from lbproxy.reasons import Reason
from tests.net.conftest import Build
from tests.net.dialogue import answer, head, request
from tests.net.house import BEARER, LEG, OFFER, House, kerberos, ntlm
from tests.net.peers import Peer, let_expire, until

UNAUTHORIZED = b"401 Unauthorized"
UPGRADE = (b"Connection: upgrade", b"Upgrade: websocket")


async def ask(client: Peer, lane: Peer, *lines: bytes, reply: bytes = b"", line: bytes = b"GET /x") -> bytes:
    """One request, and its answer over `lane`; the head that the backend got."""
    await client.send(request(line, *lines))
    seen = await lane.head()
    await lane.send(reply or answer(b"ok"))
    await client.sees(reply or answer(b"ok"))
    return seen


async def first(house: House, client: Peer, number: int, *lines: bytes, reply: bytes = b"") -> Peer:
    """The same over a lane that is opened for it, to the backend of this number."""
    await client.send(request(b"GET /x", *lines))
    lane = await house.places[number].lane()
    await lane.head()
    await lane.send(reply or answer(b"ok"))
    await client.sees(reply or answer(b"ok"))
    return lane


async def authenticated(house: House, client: Peer, number: int = 0) -> Peer:
    """A private lane on which a Kerberos token was accepted."""
    return await first(house, client, number, kerberos())


# --- shared lanes


async def test_clients_without_identity_share_a_lane(house: Build) -> None:
    home = house()
    alice, bob = await home.connect(), await home.connect()
    lane = await first(home, alice, 0)
    await ask(bob, lane)
    await ask(alice, lane, BEARER)
    backend = home.backends[0]
    assert (backend.lanes_opened, backend.requests, backend.responses[2]) == (1, 3, 3)
    assert repr(backend.lanes) == "<lanes to c1: 1 idle, 0 private>"


async def test_each_request_goes_to_the_next_backend(house: Build) -> None:
    home = house(3)
    client = await home.connect()
    lanes = [await first(home, client, number) for number in (0, 1, 2)]
    for lane in lanes:
        await ask(client, lane)
    assert [backend.requests for backend in home.backends] == [2, 2, 2]


async def test_two_at_once_need_two_lanes(house: Build) -> None:
    home = house()
    alice, bob = await home.connect(), await home.connect()
    await alice.send(request())
    one = await home.places[0].lane()
    await one.head()
    other = await first(home, bob, 0)
    assert home.backends[0].active == 1
    await one.send(answer(b"late"))
    await alice.sees(answer(b"late"))
    await ask(bob, one)
    await ask(alice, one)
    assert other is not one


# --- private lanes


async def test_a_token_makes_its_lane_private_and_what_follows_stays_on_it(house: Build) -> None:
    home = house(2)
    alice, bob = await home.connect(), await home.connect()
    lane = await authenticated(home, alice)
    assert home.backends[0].lanes.private == 1
    for _ in range(3):
        await ask(alice, lane)
    await first(home, bob, 1)
    await first(home, bob, 0)
    assert home.records[-1].lane == "shared"
    assert [record.lane for record in home.records[:4]] == ["private"] * 4


async def test_a_new_token_goes_to_the_next_backend_and_back_to_its_own_lane(house: Build) -> None:
    home = house(2)
    client = await home.connect()
    one = await authenticated(home, client, 0)
    other = await authenticated(home, client, 1)
    await ask(client, other)
    await ask(client, one, kerberos())
    await ask(client, one)
    assert [backend.lanes_opened for backend in home.backends] == [1, 1]


async def test_private_lanes_close_with_their_owner(house: Build) -> None:
    home = house(2)
    client = await home.connect()
    lanes = [await authenticated(home, client, number) for number in (0, 1)]
    client.close()
    for lane in lanes:
        assert await lane.rest() == b""
    assert home.lane_ends == {"lane_owner_gone": 2}


async def test_an_offer_makes_a_shared_lane_private(house: Build) -> None:
    home = house()
    alice, bob = await home.connect(), await home.connect()
    offer = answer(b"who?", OFFER, status=UNAUTHORIZED)
    lane = await first(home, alice, 0, reply=offer)
    await first(home, bob, 0)
    await ask(alice, lane, kerberos())
    assert home.backends[0].lanes_opened == 2


async def test_a_refused_token_closes_every_private_lane(house: Build) -> None:
    home = house(2)
    client = await home.connect()
    one = await authenticated(home, client, 0)
    refused = answer(b"no", OFFER, status=UNAUTHORIZED)
    other = await first(home, client, 1, kerberos("mallory"), reply=refused)
    assert await one.rest() == b""
    assert await other.rest() == b""
    await first(home, client, 0)
    assert home.records[-1].lane == "shared"


async def test_a_credential_of_its_own_goes_anywhere_and_changes_nothing(house: Build) -> None:
    home = house(2)
    client = await home.connect()
    lane = await authenticated(home, client, 0)
    await first(home, client, 1, BEARER)
    await ask(client, lane)


async def test_ntlm_stays_on_one_lane_for_life(house: Build) -> None:
    home = house(3)
    client = await home.connect()
    lane = await first(home, client, 0, ntlm(1), reply=answer(b"", LEG, status=UNAUTHORIZED))
    await ask(client, lane, ntlm(3))
    for _ in range(3):
        await ask(client, lane, BEARER)
    assert [backend.lanes_opened for backend in home.backends] == [1, 0, 0]


@pytest.mark.parametrize("when", ["between requests", "with a request", "inside an answer"])
async def test_a_client_starts_again_when_its_exchange_lost_its_lane(house: Build, when: str) -> None:
    home = house(2)
    client = await home.connect()
    lane = await first(home, client, 0, ntlm(1), reply=answer(b"", LEG, status=UNAUTHORIZED))
    if when != "between requests":
        await client.send(request(b"GET /x", ntlm(3)))
        await lane.head()
    if when == "inside an answer":
        await lane.send(head(b"Content-Length: 5") + b"he")
        await client.sees(head(b"Content-Length: 5") + b"he")
    lane.finish()
    if when == "between requests":
        assert await client.rest() == b""
        assert home.listener.ends["auth_lane_lost"] == 1
    else:
        await client.is_reset()
        assert home.ends[1:] == ["auth_lane_lost" if when == "with a request" else "response_cut_body"]
    assert home.backends[1].lanes_opened == 0


async def test_whoever_was_followed_is_forgotten_with_the_lane(house: Build) -> None:
    home = house(2)
    client = await home.connect()
    lane = await authenticated(home, client, 0)
    lane.finish()
    assert await lane.rest() == b""
    await first(home, client, 1)
    assert home.records[-1].lane == "shared"


async def test_a_lane_that_ends_does_not_end_the_answer_on_another(house: Build) -> None:
    """A request with a credential of its own gets an offer, and the lane that was followed ends meanwhile."""
    home = house(2)
    client = await home.connect()
    followed = await authenticated(home, client, 0)
    await client.send(request(b"GET /x", BEARER))
    lane = await home.places[1].lane()
    await lane.head()
    begun = head(b"Content-Length: 5", OFFER, status=UNAUTHORIZED) + b"he"
    await lane.send(begun)
    await client.sees(begun)
    followed.finish()
    assert await followed.rest() == b""
    await lane.send(b"llo")
    await client.sees(b"llo")
    assert await lane.rest() == b"", "it was offered to nobody that is still known"
    await first(home, client, 0)


async def test_a_second_private_lane_to_a_backend_replaces_the_first(house: Build) -> None:
    home = house()
    client = await home.connect()
    one = await authenticated(home, client, 0)
    other = await first(home, client, 0, BEARER, reply=answer(b"", LEG, status=UNAUTHORIZED))
    assert await one.rest() == b""
    await ask(client, other, ntlm(3))
    assert home.backends[0].lanes.private == 1


async def test_an_offer_on_a_second_lane_closes_it_with_its_answer(house: Build) -> None:
    home = house()
    client = await home.connect()
    one = await authenticated(home, client, 0)
    other = await first(home, client, 0, BEARER, reply=answer(b"", OFFER, status=UNAUTHORIZED))
    assert await other.rest() == b""
    await ask(client, one)


# --- a token is presented once


@pytest.mark.parametrize("line", [kerberos(), ntlm(1), b"Authorization: Strange abc"])
async def test_a_token_is_sent_at_most_once(house: Build, line: bytes) -> None:
    home = house(2)
    client = await home.connect()
    await client.send(request(b"GET /x", line))
    lane = await home.places[0].lane()
    await lane.head()
    lane.finish()
    if b"NTLM" in line:
        await client.is_reset()
    else:
        await client.sees(b"HTTP/1.1 502 ")
    assert home.backends[1].lanes_opened == 0


async def test_a_token_that_was_not_sent_moves_on(house: Build) -> None:
    home = house(3)
    client = await home.connect()
    home.places[0].listener.close()
    home.places[1].listener.close()
    await authenticated(home, client, 2)
    assert [backend.state for backend in home.backends] == [State.DOWN, State.DOWN, State.UP]
    assert [backend.connect_failures for backend in home.backends] == [1, 1, 0]
    assert home.records[-1].tries == 3


async def test_a_token_is_not_put_on_a_lane_that_has_ended(house: Build, poller: Poller) -> None:
    """The end is there, but was not looked at yet."""
    home = house(2)
    client = await home.connect()
    lane = await authenticated(home, client, 0)
    await authenticated(home, client, 1)
    [connection] = await connections(home)
    private = connection._own.get(home.backends[0])
    assert private is not None
    private.stream.pause()
    lane.finish()
    await until(lambda: not private.stream.is_quiet())
    await client.send(request(b"GET /x", kerberos()))
    other = home.places[1].lanes[-1]
    await other.head()
    await other.send(answer(b"ok"))
    await client.sees(answer(b"ok"))


# --- failures


async def test_a_get_on_a_stale_lane_gets_another_one(house: Build) -> None:
    """Also where there is one backend only: it closed an idle lane, and is as good as before."""
    home = house()
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
async def test_what_may_count_twice_is_not_sent_twice(house: Build, line: bytes) -> None:
    home = house(2)
    client = await home.connect()
    lanes = [await first(home, client, number) for number in (0, 1)]
    await client.send(request(line, b"Content-Length: 0"))
    await lanes[0].head()
    lanes[0].finish()
    await client.sees(b"HTTP/1.1 502 ")
    assert home.ends[-1] == "lane_stale"
    assert home.backends[0].state is State.UP


@pytest.mark.parametrize("failure", [b"", b"HTTP/1.1 200 OK\r\nCont"])
async def test_a_get_moves_on_from_a_backend_that_fails(house: Build, failure: bytes) -> None:
    home = house(2)
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


async def test_no_backend_is_left(house: Build) -> None:
    home = house(2)
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


async def test_errors_in_a_row_eject(house: Build) -> None:
    """Where another backend is left; the last one would be a suspect."""
    home = house(2)
    client = await home.connect()
    lane, other = [await first(home, client, number) for number in (0, 1)]
    bad, good = answer(b"", status=b"503 Service Unavailable"), answer(b"ok")
    for reply in (bad, bad, good, bad, bad):
        await ask(client, lane, reply=reply)
        await ask(client, other)
    assert home.backends[0].in_rotation
    await ask(client, lane, reply=bad)
    assert not home.backends[0].in_rotation
    assert await lane.rest() == b"", "an ejected backend's lanes do not rest"
    assert home.backends[0].responses == [0, 0, 2, 0, 0, 5]


async def test_a_timeout_is_no_verdict(house: Build, poller: Poller) -> None:
    home = house()
    client = await home.connect()
    suspected: list[object] = []
    home.pool.on_change.append(lambda backend, change, reason, detail: suspected.append(reason))
    await client.send(request())
    lane = await home.places[0].lane()
    await lane.head()
    [connection] = await connections(home)
    assert connection.exchange.link is not None
    let_expire(poller, connection.exchange.link)
    await client.sees(b"HTTP/1.1 504 ")
    assert suspected == [reasons.RESPONSE_TIMEOUT]
    assert home.backends[0].state is State.UP


async def test_a_lane_that_cannot_be_had_in_time(house: Build, poller: Poller) -> None:
    home = house(2)
    with home.places[0].accepts_nobody():
        client = await home.connect()
        await client.send(request(b"POST /x", kerberos(), b"Content-Length: 5", body=b"hello"))
        [connection] = await connections(home)
        await until(lambda: connection._lane)
        assert connection._lane is not None
        let_expire(poller, connection._lane.stream)
        assert not home.backends[0].in_rotation
        lane = await home.places[1].lane()
        await lane.head()
        await lane.sees(b"hello")


async def connections(home: House) -> list[ClientConnection]:
    await until(lambda: home.listener.connections)
    return [each for each in home.listener.connections if isinstance(each, ClientConnection)]


async def test_a_large_head_that_a_backend_refuses_is_hinted_at(house: Build, caplog: pytest.LogCaptureFixture) -> None:
    home = house()
    client = await home.connect()
    small = b"X: " + b"x" * 100
    large = b"X: " + b"x" * 8200
    refused = answer(b"", status=b"431 Request Header Fields Too Large")
    lane = await first(home, client, 0, small, reply=refused)
    assert caplog.records == []
    await ask(client, lane, large, reply=refused)
    await ask(client, lane, large, reply=refused)
    assert [(record.levelno, record.message) for record in caplog.records] == [(logging.WARNING, "large_head_refused")]


class FaultyLanes(Lanes):
    """Its lanes cannot be used."""

    def open(self, waiter: Waiter, personal: Personal = ANYBODY) -> Lane | tuple[Reason, str]:
        lane = super().open(waiter, personal)
        assert isinstance(lane, Lane)
        lane.served = None  # type: ignore[assignment]
        return lane


@pytest.mark.parametrize("fault", ["connect refused", "lane ready", "lane gone", "log", "tunnel"])
async def test_a_fault_of_ours_ends_its_client_only(
    house: Build, poller: Poller, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    home = house(2)
    client = await home.connect()
    [connection] = await connections(home)
    lane = await authenticated(home, client, 0)
    lanes = home.backends[1].lanes
    if fault == "connect refused":
        home.pool.on_change.append(faulty)
        home.places[1].listener.close()
        await client.send(request(b"GET /x", BEARER))
    elif fault == "lane ready":
        home.backends[1].lanes = FaultyLanes(lanes.backend, poller, lanes.options, lanes.ends)
        home.backends[1].lanes.address = lanes.address
        await client.send(request(b"GET /x", kerberos()))
    elif fault == "lane gone":
        assert connection._binding is not None
        connection._binding.state = binding.State.CLOSED  # nothing may happen in it
        lane.finish()
    elif fault == "log":
        home.web.log = faulty
        await client.send(request())
        await lane.head()
        await lane.send(answer(b"ok"))
    else:
        home.web.log = faulty
        await client.send(request(b"GET /x", *UPGRADE))
        await lane.head()
        await lane.send(head(*UPGRADE, status=b"101 Switching Protocols"))
        await client.sees(head(*UPGRADE, status=b"101 Switching Protocols"))
        lane.reset()
    await client.is_reset()
    assert {record.message for record in caplog.records} >= {"fault"}
    home.web.log = home.records.append
    home.backends[1].lanes = lanes
    other = await home.connect()
    await first(home, other, 0 if fault in ("connect refused", "lane ready") else 1)


# --- clients that go away


@pytest.mark.parametrize("when", ["waiting", "sent", "answering", "private"])
async def test_a_client_that_leaves_takes_its_lane_along(house: Build, when: str) -> None:
    home = house()
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


async def upgraded(home: House, *lines: bytes) -> tuple[Peer, Peer]:
    client = await home.connect()
    await client.send(request(b"GET /x", *UPGRADE, *lines))
    lane = await home.places[0].lane()
    await lane.head()
    await lane.send(head(*UPGRADE, status=b"101 Switching Protocols") + b"hi")
    await client.sees(head(*UPGRADE, status=b"101 Switching Protocols") + b"hi")
    return client, lane


@pytest.mark.parametrize("lines", [(), (kerberos(),)], ids=["shared", "private"])
async def test_an_upgrade_is_a_request_until_it_ends(house: Build, lines: tuple[bytes, ...]) -> None:
    home = house()
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


@pytest.mark.parametrize("stop", ["stop", "drain"])
async def test_an_upgrade_outlives_a_drain_but_not_a_stop(house: Build, stop: str) -> None:
    home = house()
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


async def test_the_record_of_a_request(house: Build) -> None:
    home = house()
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


async def test_the_record_of_a_refusal(house: Build) -> None:
    home = house()
    client = await home.connect()
    await client.send(b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n")
    await client.sees(b"HTTP/1.1 421 ")
    [record] = home.records
    assert (record.backend, record.lane, record.tries, record.reused) == ("", "", 0, False)
    assert (record.connect_ms, record.first_byte_ms) == (-1, -1)
    assert (record.status, record.reason) == (421, "misdirected")


async def test_head_gets_no_body_of_a_refusal(house: Build) -> None:
    home = house()
    client = await home.connect()
    await client.send(request(b"HEAD /denied", b"Connection: close"))
    assert (await client.rest()).endswith(b"\r\n\r\n")


async def test_says_who_it_is(house: Build) -> None:
    home = house()
    client = await home.connect()
    [connection] = await connections(home)
    host, port = client.sock.getsockname()
    assert repr(connection) == f"<client {host}:{port} on login>"
