from __future__ import annotations

from lbproxy.balance.backend import Backend
from lbproxy.balance.health import Rules
from lbproxy.balance.member import Member
from lbproxy.balance.pool import Pool
from lbproxy.process.ipc.worker_messages import Members
from lbproxy.process.workers.news import News, everything


def pool_of(*names: str) -> Pool:
    return Pool("p", [Backend(name, f"http://{name}:80") for name in names], Rules())


def test_one_that_comes_and_goes_before_it_was_told_is_no_news() -> None:
    pool, news = pool_of("a"), News()
    news.joined(pool, passing := pool.join(Member("b", "http://b:80")))
    news.changed(pool, passing)
    news.left(pool, passing)
    assert not news
    assert repr(news) == "<news of 0 left, 0 joined, 0 changed>"


def test_one_that_moves_leaves_and_joins() -> None:
    pool, news = pool_of("a"), News()
    before = pool.backends[0]
    pool.leave("a")
    news.changed(pool, before)
    news.left(pool, before)
    news.joined(pool, pool.join(Member("a", "http://a:81", weight=3)))
    told = news.message()
    assert (told.left, told.joined) == (["p/a"], {"p/a": Member("a", "http://a:81", 3, False)})
    assert told.conditions.keys() == {"p/a"}
    assert not news


def test_one_that_left_and_came_back_unseen_is_told_anew() -> None:
    pool, news = pool_of("a"), News()
    news.left(pool, pool.backends[0])
    pool.leave("a")
    news.joined(pool, pool.join(Member("a", "http://a:80")))
    pool.leave("a")
    news.left(pool, Backend("a", "http://a:80"))
    assert news.message() == Members(False, ["p/a"], {}, {})


def test_everything_is_for_one_that_knows_nothing() -> None:
    told = everything([pool_of("a", "b")])
    assert (told.whole, told.left, list(told.joined)) == (True, [], ["p/a", "p/b"])
    assert told.conditions.keys() == {"p/a", "p/b"}
