from __future__ import annotations

from typing import Any

from lbproxy.config.checks.forwarding import Route, problems, routes
from tests.config.checks.documents import LISTENER, PASSING, POOL, TCP_POOL, document

BY_NAME = {"bind": "127.0.0.1:3", "mode": "sni", "sni": {"a.example": "t", "*.b.example": "t"}}


def found(**changes: Any) -> list[str]:
    return [str(problem) for problem in problems(document(**changes))]


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


def test_http_listeners_need_backends_that_speak_it() -> None:
    mixed = {"backends": [{"name": "c1", "url": "https://c1"}, {"name": "c2", "url": "tcp://c2"}]}
    assert found(pool={"p": mixed}) == [
        "pool.p.backends[1].url: listener.a speaks HTTP and needs http:// or https:// here"
    ]


def test_connections_are_passed_through_to_tcp_backends_only() -> None:
    mixed = {"backends": [{"name": "t1", "url": "tcp://t1"}, {"name": "t2", "url": "HTTPS://t2"}]}
    for listener in (PASSING, BY_NAME):
        assert found(listener={"b": listener}, pool={"t": mixed}) == [
            "pool.t.backends[1].url: listener.b passes connections through and needs tcp:// here"
        ]


def test_a_pool_is_used_in_one_way() -> None:
    assert found(listener={"a": LISTENER, "b": PASSING | {"pool": "p"}}) == [
        "listener.b.pool: [pool.p] is that of listener.a too, and only one of the two passes connections through; "
        "the backends need a pool for each"
    ]


def test_a_url_that_is_none_is_left_to_the_models() -> None:
    assert found(pool={"p": {"backends": [{"name": "c1", "url": "c1:4000"}]}}) == []
