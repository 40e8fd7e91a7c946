from __future__ import annotations

from typing import Any

from lbproxy.config.checks.forwarding import Route, problems, routes, warnings
from tests.config.checks.documents import LISTENER, PASSING, POOL, TCP_POOL, document

BY_NAME = {"bind": "127.0.0.1:3", "mode": "sni", "sni": {"a.example": "t", "*.b.example": "t"}}


def found(**changes: Any) -> list[str]:
    return [str(problem) for problem in problems(document(**changes))]


def warned(**changes: Any) -> list[str]:
    return [str(warning) for warning in warnings(document(**changes))]


def test_the_ways_from_listeners_to_pools() -> None:
    assert list(routes(document(listener={"a": LISTENER, "b": BY_NAME, "c": {"pool": 1}}))) == [
        Route(("listener", "a", "pool"), "a", "p", False),
        Route(("listener", "b", "sni", "a.example"), "b", "t", True),
        Route(("listener", "b", "sni", "*.b.example"), "b", "t", True),
    ]


def test_pools_that_are_not_there() -> None:
    by_name = BY_NAME | {"sni": {"a.example": "q"}}
    assert found(listener={"a": LISTENER | {"pool": "r"}, "b": by_name}) == [
        "listener.a.pool: there is no [pool.r]; the file has p",
        'listener.b.sni."a.example": there is no [pool.q]; the file has p',
    ]
    assert found(pool={}) == ["listener.a.pool: there is no [pool.p]; the file has none"]


def test_each_kind_of_listener_with_its_kind_of_pool() -> None:
    listeners = {"a": LISTENER, "b": PASSING, "c": BY_NAME}
    assert found(listener=listeners, pool={"p": POOL, "t": TCP_POOL}) == []


MIXED = {"backends": [{"name": "c1", "url": "HTTPS://c1"}, {"name": "c2", "url": "tcp://c2"}]}


def test_one_pool_for_both_kinds_of_listener() -> None:
    both = {"listener": {"a": LISTENER, "b": BY_NAME | {"sni": {"a.example": "p"}}}, "pool": {"p": MIXED}}
    assert found(**both) == warned(**both) == []


def test_http_listeners_need_a_backend_that_speaks_it() -> None:
    assert found(pool={"p": TCP_POOL}) == [
        "listener.a.pool: listener.a speaks HTTP, and [pool.p] has no http:// or https:// backend for it"
    ]


def test_connections_are_passed_through_to_tcp_backends_only() -> None:
    text = "listener.b passes connections through, and [pool.t] has no tcp:// backend for it"
    assert found(listener={"b": PASSING}, pool={"t": POOL}) == [f"listener.b.pool: {text}"]
    assert found(listener={"b": BY_NAME}, pool={"t": POOL}) == [
        f'listener.b.sni."a.example": {text}',
        f'listener.b.sni."*.b.example": {text}',
    ]


def test_backends_that_no_listener_can_use() -> None:
    assert warned(pool={"p": MIXED}) == [
        'pool.p.backends[1].url: is not used: no listener with mode = "tcp" or "sni" forwards to [pool.p]'
    ]
    assert warned(listener={"b": PASSING}, pool={"t": MIXED}) == [
        'pool.t.backends[0].url: is not used: no listener with mode = "http" forwards to [pool.t]'
    ]
    assert warned(pool={"p": POOL, "spare": MIXED}) == []


def test_a_url_that_is_none_is_left_to_the_models() -> None:
    assert found(pool={"p": {"backends": [{"name": "c1", "url": "c1:4000"}]}}) == []
