"""The row *lane lost* of docs/lanes.md, on every way to it."""

from __future__ import annotations

import pytest

from lbproxy.auth.binding import State
from tests.net.conftest import Build
from tests.net.dialogue import answer, head, request
from tests.net.http.client.visits import UNAUTHORIZED, authenticated, connections, first
from tests.net.listener_fixture import BEARER, LEG, OFFER, ListenerFixture, ntlm
from tests.net.peers import Peer, until

API_KEY = b"Authorization: ApiKey k"
"""A scheme that is unknown: the lane is followed from then on."""

CONTINUATION = b"Authorization: Negotiate oQcwBaADCgEB"
"""A leg of SPNEGO, without a token of a mechanism (RFC 4178 section 4.2.2)."""


async def introduced(home: ListenerFixture, client: Peer, number: int, *lines: bytes) -> Peer:
    """A request and its answer over a lane that is opened for it, and begins with a PROXY header."""
    await client.send(request(b"GET /x", *lines))
    lane = await home.places[number].lane()
    assert await lane.exactly(6) == b"PROXY "
    await lane.head()
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    return lane


async def is_open(home: ListenerFixture) -> None:
    """Nothing is followed, and no private lane is left."""
    [connection] = await connections(home)
    assert connection._own.followed is None
    assert connection._own.binding.state is State.OPEN
    assert [backend.lanes.private for backend in home.backends] == [0] * len(home.backends)


@pytest.mark.parametrize("how", ["closed", "reset", "closed before it was used"])
async def test_a_request_with_its_own_credential_loses_the_lane_that_is_followed(front: Build, how: str) -> None:
    """Where all lanes are the client's own, such a request may use that lane."""
    home = front(2, send_proxy="v1")
    client = await home.connect()
    followed = await introduced(home, client, 0, API_KEY)
    other = await introduced(home, client, 1, BEARER)
    if how == "closed before it was used":
        [connection] = await connections(home)
        private = connection._own.followed
        assert private is not None
        private.stream.pause()  # its end is there, but was not looked at yet
        followed.finish()
        await until(lambda: not private.stream.is_quiet())
        await introduced(home, client, 1, BEARER)
    else:
        await client.send(request(b"GET /drop", BEARER))
        await followed.head()
        (followed.finish if how == "closed" else followed.reset)()
        again = await home.places[1].lane()
        assert await again.exactly(6) == b"PROXY "
        await again.head()
        await again.send(answer(b"again"))
        await client.sees(answer(b"again"))
    assert await other.rest() == b"", "it was left open"
    [connection] = await connections(home)
    assert connection._own.followed is None
    assert connection._own.binding.state is State.OPEN
    await introduced(home, client, 0)


async def test_an_answer_inside_which_the_followed_lane_ends(front: Build) -> None:
    home = front(2, send_proxy="v1")
    client = await home.connect()
    followed = await introduced(home, client, 0, API_KEY)
    await introduced(home, client, 1, BEARER)
    await client.send(request(b"GET /last", BEARER))
    await followed.head()
    await followed.send(answer(b"last", b"Connection: close"))
    await client.sees(answer(b"last"))
    await until(lambda: len(home.records) == 3)
    await is_open(home)
    await introduced(home, client, 1)


@pytest.mark.parametrize("end", ["closed", "cut"])
async def test_a_refused_leg_whose_lane_ends_with_the_refusal(front: Build, end: str) -> None:
    """The lane was let go with the head of the refusal: it is not lost a second time."""
    home = front()
    client = await home.connect()
    lane = await first(home, client, 0, CONTINUATION, reply=answer(b"", LEG, status=UNAUTHORIZED))
    await client.send(request(b"GET /x", CONTINUATION))
    await lane.head()
    if end == "closed":
        await lane.send(answer(b"no", OFFER, b"Connection: close", status=UNAUTHORIZED))
        await client.sees(answer(b"no", OFFER, status=UNAUTHORIZED))
        await until(lambda: len(home.records) == 2)
        await is_open(home)
        await first(home, client, 0)
    else:
        begun = head(b"Content-Length: 5", OFFER, status=UNAUTHORIZED) + b"he"
        await lane.send(begun)
        await client.sees(begun)
        lane.reset()
        await client.is_reset()
    assert home.ends[1] == ("done" if end == "closed" else "response_cut_body")
    assert "internal" not in home.listener.ends


async def test_the_followed_lane_ends_beside_a_request_that_waits_for_another(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    followed = await authenticated(home, client, 0)
    await client.send(request(b"GET /x", BEARER))
    lane = await home.places[1].lane()
    await lane.head()
    followed.reset()
    [connection] = await connections(home)
    await until(lambda: connection._own.followed is None)
    await lane.send(answer(b"ok"))
    await client.sees(answer(b"ok"))
    await is_open(home)
    await first(home, client, 0)


async def test_ntlm_loses_its_lane_before_it_is_used_again(front: Build) -> None:
    home = front(2)
    client = await home.connect()
    lane = await first(home, client, 0, ntlm(1), reply=answer(b"", LEG, status=UNAUTHORIZED))
    [connection] = await connections(home)
    private = connection._own.followed
    assert private is not None
    private.stream.pause()
    lane.finish()
    await until(lambda: not private.stream.is_quiet())
    await client.send(request(b"GET /x", ntlm(3)))
    await client.is_reset()
    assert home.ends[1:] == ["auth_lane_lost"]
