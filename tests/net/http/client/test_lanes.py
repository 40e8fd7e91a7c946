"""The rule of lanes (docs/lanes.md), over real connections: who shares one, who has his own, what a token binds."""

from __future__ import annotations

import pytest

from lbproxy.auth import binding
from lbproxy.balance.backend import State
from lbproxy.net.transport.poller import Poller
from tests.net.conftest import Build
from tests.net.dialogue import answer, head, request
from tests.net.http.client.visits import UNAUTHORIZED, ask, authenticated, connections, first
from tests.net.listener_fixture import BEARER, LEG, OFFER, kerberos, ntlm
from tests.net.peers import until

# --- the fast path


async def test_requests_without_identity_need_no_decision(front: Build) -> None:
    home = front()
    client = await home.connect()
    lane = await first(home, client, 0)
    await ask(client, lane)
    await ask(client, lane, BEARER)
    [connection] = await connections(home)
    assert connection.exchange.fast_path is True
    assert connection.lanes == []


async def test_those_of_one_that_authenticated_do_until_it_goes(front: Build) -> None:
    home = front()
    client = await home.connect()
    lane = await authenticated(home, client)
    await ask(client, lane, kerberos(), reply=answer(b"no", status=UNAUTHORIZED))
    [connection] = await connections(home)
    assert connection._own.binding.state is binding.State.OPEN
    assert connection.exchange.fast_path is False


async def test_an_offer_is_enough(front: Build) -> None:
    home = front()
    client = await home.connect()
    await first(home, client, 0, reply=head(OFFER, b"Content-Length: 0", status=b"401 No"))
    [connection] = await connections(home)
    assert connection.exchange.fast_path is False
    assert len(connection.lanes) == 1


# --- shared lanes


async def test_clients_without_identity_share_a_lane(front: Build) -> None:
    home = front()
    alice, bob = await home.connect(), await home.connect()
    lane = await first(home, alice, 0)
    await ask(bob, lane)
    await ask(alice, lane, BEARER)
    backend = home.backends[0]
    assert (backend.lanes_opened, backend.requests, backend.responses[2]) == (1, 3, 3)
    assert repr(backend.lanes) == "<lanes to c1: 1 idle, 0 private>"


async def test_each_request_goes_to_the_next_backend(front: Build) -> None:
    home = front(3)
    client = await home.connect()
    lanes = [await first(home, client, number) for number in (0, 1, 2)]
    for lane in lanes:
        await ask(client, lane)
    assert [backend.requests for backend in home.backends] == [2, 2, 2]


async def test_two_at_once_need_two_lanes(front: Build) -> None:
    home = front()
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


async def test_a_token_makes_its_lane_private_and_what_follows_stays_on_it(front: Build) -> None:
    home = front(2)
    alice, bob = await home.connect(), await home.connect()
    lane = await authenticated(home, alice)
    assert home.backends[0].lanes.private == 1
    for _ in range(3):
        await ask(alice, lane)
    await first(home, bob, 1)
    await first(home, bob, 0)
    assert home.records[-1].lane == "shared"
    assert [record.lane for record in home.records[:4]] == ["private"] * 4


async def test_a_new_token_goes_to_the_next_backend_and_back_to_its_own_lane(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    one = await authenticated(home, client, 0)
    other = await authenticated(home, client, 1)
    await ask(client, other)
    await ask(client, one, kerberos())
    await ask(client, one)
    assert [backend.lanes_opened for backend in home.backends] == [1, 1]


async def test_private_lanes_close_with_their_owner(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    lanes = [await authenticated(home, client, number) for number in (0, 1)]
    client.close()
    for lane in lanes:
        assert await lane.rest() == b""
    assert home.lane_ends == {"lane_owner_gone": 2}


async def test_an_offer_makes_a_shared_lane_private(front: Build) -> None:
    home = front()
    alice, bob = await home.connect(), await home.connect()
    offer = answer(b"who?", OFFER, status=UNAUTHORIZED)
    lane = await first(home, alice, 0, reply=offer)
    await first(home, bob, 0)
    await ask(alice, lane, kerberos())
    assert home.backends[0].lanes_opened == 2


async def test_a_refused_token_closes_every_private_lane(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    one = await authenticated(home, client, 0)
    refused = answer(b"no", OFFER, status=UNAUTHORIZED)
    other = await first(home, client, 1, kerberos("mallory"), reply=refused)
    assert await one.rest() == b""
    assert await other.rest() == b""
    await first(home, client, 0)
    assert home.records[-1].lane == "shared"


async def test_a_credential_of_its_own_goes_anywhere_and_changes_nothing(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    lane = await authenticated(home, client, 0)
    await first(home, client, 1, BEARER)
    await ask(client, lane)


async def test_ntlm_stays_on_one_lane_for_life(front: Build) -> None:
    home = front(3)
    client = await home.connect()
    lane = await first(home, client, 0, ntlm(1), reply=answer(b"", LEG, status=UNAUTHORIZED))
    await ask(client, lane, ntlm(3))
    for _ in range(3):
        await ask(client, lane, BEARER)
    assert [backend.lanes_opened for backend in home.backends] == [1, 0, 0]


@pytest.mark.parametrize("when", ["between requests", "with a request", "inside an answer"])
async def test_a_client_starts_again_when_its_exchange_lost_its_lane(front: Build, when: str) -> None:
    home = front(2)
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


async def test_whoever_was_followed_is_forgotten_with_the_lane(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    lane = await authenticated(home, client, 0)
    lane.finish()
    assert await lane.rest() == b""
    await first(home, client, 1)
    assert home.records[-1].lane == "shared"


async def test_a_lane_that_ends_does_not_end_the_answer_on_another(front: Build) -> None:
    """A request with a credential of its own gets an offer, and the lane that was followed ends meanwhile."""
    home = front(2)
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


async def test_a_second_private_lane_to_a_backend_replaces_the_first(front: Build) -> None:
    home = front()
    client = await home.connect()
    one = await authenticated(home, client, 0)
    other = await first(home, client, 0, BEARER, reply=answer(b"", LEG, status=UNAUTHORIZED))
    assert await one.rest() == b""
    await ask(client, other, ntlm(3))
    assert home.backends[0].lanes.private == 1


async def test_an_offer_on_a_second_lane_closes_it_with_its_answer(front: Build) -> None:
    home = front()
    client = await home.connect()
    one = await authenticated(home, client, 0)
    other = await first(home, client, 0, BEARER, reply=answer(b"", OFFER, status=UNAUTHORIZED))
    assert await other.rest() == b""
    await ask(client, one)


# --- a token is presented once


@pytest.mark.parametrize("line", [kerberos(), ntlm(1), b"Authorization: Strange abc"])
async def test_a_token_is_sent_at_most_once(front: Build, line: bytes) -> None:
    home = front(2)
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


async def test_a_token_that_was_not_sent_moves_on(front: Build) -> None:
    home = front(3)
    client = await home.connect()
    home.places[0].listener.close()
    home.places[1].listener.close()
    await authenticated(home, client, 2)
    assert [backend.state for backend in home.backends] == [State.DOWN, State.DOWN, State.UP]
    assert [backend.connect_failures for backend in home.backends] == [1, 1, 0]
    assert home.records[-1].tries == 3


async def test_a_token_is_not_put_on_a_lane_that_has_ended(front: Build, poller: Poller) -> None:
    """The end is there, but was not looked at yet."""
    home = front(2)
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


@pytest.mark.parametrize("body", ["before", "after"])
async def test_who_need_not_send_his_body_leaves_no_request_for_others(front: Build, body: str) -> None:
    """A backend that answers instead of asking for it may take it for a request, and answer that to whoever is next."""
    home = front()
    hidden = request(b"GET /hidden")
    attacker, victim = await home.connect(), await home.connect()
    asks = request(b"POST /x", b"Expect: 100-continue", b"Content-Length: %d" % len(hidden))
    await attacker.send(asks + (hidden if body == "before" else b""))
    lane = await home.places[0].lane()
    await lane.head()
    await lane.send(answer(b"no"))
    assert (await attacker.head()).startswith(b"HTTP/1.1 200 OK")
    if body == "after":
        await attacker.send(hidden)
    await attacker.sees(b"no")
    await until(lambda: home.records)
    await victim.send(request())
    another = await home.places[0].lane()
    await another.head()


async def test_who_need_not_send_his_body_keeps_a_lane_of_his_own(front: Build) -> None:
    home = front()
    client = await home.connect()
    lane = await first(home, client, 0, ntlm(1), reply=head(LEG, b"Content-Length: 0", status=UNAUTHORIZED))
    refused = head(LEG, b"Content-Length: 0", status=UNAUTHORIZED)
    await client.send(request(b"POST /x", ntlm(3), b"Expect: 100-continue", b"Content-Length: 5"))
    await lane.head()
    await lane.send(refused)
    await client.sees(refused)
    await client.send(b"hello")
    await lane.sees(b"hello")
    await ask(client, lane)
