from __future__ import annotations

import pytest

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


async def test_one_lane_a_backend(home: ListenerFixture) -> None:
    own, owner = PrivateLanes(), Owner()
    first, second, other = await opened(home, owner), await opened(home, owner), await opened(home, owner, 1)
    for lane in (first, second, other, first):
        own.claim(lane, owner)
    assert [lane.owner for lane in (first, second, other)] == [owner] * 3
    assert [own.keeps(lane) for lane in (first, second, other)] == [True, False, True]
    assert own.get(home.backends[0]) is first
    own.follow(second)
    assert first.closed
    assert (own.followed, own.get(home.backends[0])) == (second, second)
    assert not own.drop(other, None)
    assert own.get(home.backends[1]) is None
    own.forget(None)
    assert second.closed
    assert own.followed is None
    assert home.backends[0].lanes.private == home.backends[1].lanes.private == 0


async def test_the_lane_that_answers_stays_until_it_has(home: ListenerFixture) -> None:
    own, owner = PrivateLanes(), Owner()
    busy, idle = await opened(home, owner), await opened(home, owner, 1)
    own.claim(busy, owner)
    own.claim(idle, owner)
    own.follow(busy)
    own.forget(busy)
    assert (busy.closed, idle.closed, own.followed) == (False, True, None)
    assert not own.keeps(busy)
    assert not own.drop(busy, None)
    assert busy.closed


async def test_a_closed_lane_is_followed_by_nobody(home: ListenerFixture) -> None:
    own, owner = PrivateLanes(), Owner()
    lane = await opened(home, owner)
    own.claim(lane, owner)
    own.follow(lane)
    assert own.drop(lane, None)
    assert (lane.closed, own.followed, own.get(home.backends[0])) == (True, None, None)
