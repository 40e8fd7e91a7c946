from __future__ import annotations

from lbproxy.balance.backend import Backend
from lbproxy.balance.feed import Observer
from lbproxy.balance.health import Rules
from lbproxy.balance.member import Member
from lbproxy.balance.pool import Pool
from tests.balance.heard import Feed


def test_an_observer_that_cares_for_nothing_is_told_all_the_same() -> None:
    pool = Pool("p", [Backend("a", "http://a:80")], Rules())
    pool.observers.append(Observer())
    feed = Feed(pool)
    pool.apply("dns", [Member("b", "http://b:80")])
    pool.probed(pool.backends[1], True, "200", 1.0)
    pool.apply("dns", [])
    assert feed.words == ["+b", "b", "b:readmit", "-b"]
