from __future__ import annotations

import pytest

from lbproxy.auth.binding import Route, State
from lbproxy.auth.spnego import Challenge, Credential
from lbproxy.net.upstream.lane import Lane
from lbproxy.net.upstream.private import PrivateLanes
from lbproxy.reasons import Reason
from tests.net.conftest import Build
from tests.net.listener_fixture import ListenerFixture
from tests.net.peers import until


class Owner:
    """Waits for lanes, and owns them."""

    def __init__(self) -> None:
        self.ready: list[Lane] = []

    def lane_ready(self, lane: Lane) -> None:
        self.ready.append(lane)

    def lane_unready(self, lane: Lane, reason: Reason, detail: str) -> None:
        raise AssertionError(detail)

    def lane_gone(self, lane: Lane) -> None:
        raise AssertionError(lane)

    def broken(self, error: Exception) -> None:
        raise error


@pytest.fixture
async def home(front: Build) -> ListenerFixture:
    return front(2)


async def opened(home: ListenerFixture, owner: Owner, number: int = 0) -> Lane:
    lane = home.backends[number].lanes.open(owner)
    assert isinstance(lane, Lane)
    await home.places[number].lane()
    await until(lambda: lane in owner.ready)
    return lane


def authenticate(own: PrivateLanes, lane: Lane) -> None:
    """A token was accepted on the lane."""
    assert own.request(Credential.KERBEROS) is Route.SPREAD
    own.answered(lane, 200, Challenge.NONE)


async def test_one_lane_a_backend(home: ListenerFixture) -> None:
    owner = Owner()
    own = PrivateLanes(owner)
    first, second, other = await opened(home, owner), await opened(home, owner), await opened(home, owner, 1)
    for lane in (first, second, other, first):
        own.claim(lane)
    assert [lane.owner for lane in (first, second, other)] == [owner] * 3
    assert [own.keeps(lane) for lane in (first, second, other)] == [True, False, True]
    assert own.get(home.backends[0]) is first
    authenticate(own, second)
    assert first.closed
    assert (own.followed, own.get(home.backends[0])) == (second, second)
    assert not own.drop(other, None, None)
    assert own.get(home.backends[1]) is None
    own.forget(None)
    assert second.closed
    assert own.followed is None
    assert home.backends[0].lanes.private == home.backends[1].lanes.private == 0


async def test_the_lane_that_answers_stays_until_it_has(home: ListenerFixture) -> None:
    owner = Owner()
    own = PrivateLanes(owner)
    busy, idle = await opened(home, owner), await opened(home, owner, 1)
    own.claim(idle)
    authenticate(own, busy)
    own.forget(busy)
    assert (busy.closed, idle.closed, own.followed) == (False, True, None)
    assert not own.keeps(busy)
    assert not own.drop(busy, None, None)
    assert busy.closed


async def test_a_closed_lane_is_followed_by_nobody(home: ListenerFixture) -> None:
    owner = Owner()
    own = PrivateLanes(owner)
    lane = await opened(home, owner)
    authenticate(own, lane)
    assert not own.drop(lane, None, None), "a client whose token was answered may start again without it"
    assert (lane.closed, own.followed, own.get(home.backends[0])) == (True, None, None)


async def test_a_lost_lane_of_a_connection_that_is_the_user_ends_it(home: ListenerFixture) -> None:
    owner = Owner()
    own = PrivateLanes(owner)
    lane, other = await opened(home, owner), await opened(home, owner, 1)
    own.claim(other)
    assert own.request(Credential.NTLM) is Route.SPREAD
    assert (own.pending, own.ends_with_lane) == (True, True)
    own.answered(lane, 401, Challenge.TOKEN)
    assert (own.pending, own.ends_with_lane, own.followed) == (False, False, lane)
    assert own.drop(lane, None, None)
    assert other.closed
    assert own.lanes == []


async def test_a_request_without_an_answer_is_told_once(home: ListenerFixture) -> None:
    owner = Owner()
    own = PrivateLanes(owner)
    lane = await opened(home, owner)
    assert own.request(Credential.NONE) is Route.SHARED
    assert not own.unanswered(None)
    assert own.request(Credential.KERBEROS) is Route.SPREAD
    own.claim(lane)
    assert not own.drop(lane, None, None), "it was not followed yet"
    assert not own.unanswered(None)
    assert (own.binding.state, own.pending) == (State.OPEN, False)
    assert not own.unanswered(None)


async def test_after_a_refusal_all_close_with_the_answer(home: ListenerFixture) -> None:
    owner = Owner()
    own = PrivateLanes(owner)
    lane = await opened(home, owner)
    authenticate(own, lane)
    assert own.request(Credential.KERBEROS) is Route.SPREAD
    assert own.followed is None, "nobody is answered as the user of before"
    own.answered(lane, 401, Challenge.OFFER)
    assert (own.closing, lane.closed, own.followed) == (True, False, None)
    own.forget(None)
    assert (own.closing, lane.closed) == (False, True)
