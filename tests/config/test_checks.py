from __future__ import annotations

from typing import Any

import pytest

from lbproxy.config.checks import problems

LISTENER = {"bind": "127.0.0.1:1", "pool": "p"}
POOL = {"backends": [{"name": "c1", "url": "http://c1"}]}


def found(**document: Any) -> list[str]:
    return [str(problem) for problem in problems({"listener": {"a": LISTENER}, "pool": {"p": POOL}} | document)]


def test_a_sound_document_has_none() -> None:
    assert found() == []


@pytest.mark.parametrize("section", ["listener", "pool"])
def test_each_section_needs_an_entry(section: str) -> None:
    assert f"{section}: missing; at least one [{section}.NAME] is needed" in found(**{section: {}})


def test_a_listener_needs_a_pool_that_exists() -> None:
    listeners = {"a": {"bind": "127.0.0.1:1"}, "b": {"bind": "127.0.0.1:2", "pool": "q"}, "c": {"mode": "sni"}}
    assert found(listener=listeners) == [
        "listener.a.pool: missing",
        "listener.b.pool: there is no [pool.q]; the file has p",
    ]


def test_two_things_cannot_bind_one_address() -> None:
    assert found(listener={"a": LISTENER, "b": LISTENER}, admin={"bind": "127.0.0.1:1"}) == [
        "listener.b.bind: '127.0.0.1:1' is taken by listener.a.bind",
        "admin.bind: '127.0.0.1:1' is taken by listener.a.bind",
    ]


def test_port_0_is_another_port_each_time() -> None:
    any_port = LISTENER | {"bind": "127.0.0.1:0"}
    assert found(listener={"a": any_port, "b": any_port}) == []


def test_names_and_urls_of_backends_are_unique_in_their_pool() -> None:
    twice = {"backends": [{"name": "c1", "url": "http://a"}, {"name": "c1", "url": "http://A/"}]}
    assert found(pool={"p": twice}) == [
        "pool.p.backends[1].name: 'c1' is taken by pool.p.backends[0].name",
        "pool.p.backends[1].url: 'http://a' is taken by pool.p.backends[0].url",
    ]
    assert found(pool={"p": POOL, "q": POOL}) == []


@pytest.mark.parametrize("kind", ["none", "tcp"])
def test_http_keys_need_an_http_check(kind: str) -> None:
    pool = {
        "backends": [{"name": "c1", "url": "http://c1", "check_url": "http://c1/healthz"}],
        "check": {"kind": kind, "path": "/", "expect": [200], "rise": 1},
    }
    assert found(pool={"p": pool}) == [
        'pool.p.check.path: has a meaning only with kind = "http"',
        'pool.p.check.expect: has a meaning only with kind = "http"',
        'pool.p.backends[0].check_url: has a meaning only with kind = "http"',
    ]


def test_a_check_has_a_url_or_a_path() -> None:
    check = {"url": "http://{host}:8080/healthz", "path": "/"}
    assert found(pool={"p": POOL | {"check": check}}) == [
        "pool.p.check.path: has no meaning beside url, which holds the path"
    ]


@pytest.mark.parametrize(
    "wrong", [1, "x", [], [1], {"a": 1}, {"a": {"backends": 1, "pool": 1, "check": [], "bind": []}}]
)
def test_wrong_types_are_left_to_the_models(wrong: Any) -> None:
    assert all(isinstance(text, str) for text in found(listener=wrong, pool=wrong, admin=wrong))
