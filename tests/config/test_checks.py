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
def test_keys_of_requests_need_a_check_that_sends_some(kind: str) -> None:
    pool = {
        "backends": [{"name": "c1", "url": "http://c1", "check_url": "http://c1/healthz"}],
        "check": {"kind": kind, "path": "/", "expect": [200], "rise": 1},
    }
    assert found(pool={"p": pool}) == [
        f'pool.p.check.path: has no meaning with kind = "{kind}"',
        f'pool.p.check.expect: has no meaning with kind = "{kind}"',
        f'pool.p.backends[0].check_url: has no meaning with kind = "{kind}"',
    ]


def test_a_check_has_a_url_or_a_path() -> None:
    check = {"url": "http://{host}:8080/healthz", "path": "/"}
    assert found(pool={"p": POOL | {"check": check}}) == [
        "pool.p.check.path: has no meaning beside url, which holds the path"
    ]


def of_check(**check: Any) -> list[str]:
    return found(pool={"p": POOL | {"check": check}})


def test_a_kerberos_check_needs_its_table_and_no_other_does() -> None:
    table = {"principal": "a@B", "keytab": "k", "spn": "HTTP@a"}
    assert of_check(kind="kerberos", kerberos=table, path="/wsfed", expect=[200]) == []
    assert of_check(kind="kerberos") == [
        'pool.p.check.kerberos: missing; kind = "kerberos" needs principal, keytab and spn in it'
    ]
    for other in ({}, {"kind": "tcp"}):
        assert of_check(**other, kerberos=table) == ['pool.p.check.kerberos: has a meaning only with kind = "kerberos"']


def test_a_kerberos_check_asks_with_get_and_takes_no_401() -> None:
    assert of_check(kind="kerberos", kerberos={}, method="HEAD", expect=[200, 401]) == [
        'pool.p.check.method: has no meaning with kind = "kerberos"',
        "pool.p.check.expect: 401 is how a ticket is refused; it is no success here",
    ]


@pytest.mark.parametrize(
    "wrong", [1, "x", [], [1], {"a": 1}, {"a": {"backends": 1, "pool": 1, "check": [], "bind": []}}]
)
def test_wrong_types_are_left_to_the_models(wrong: Any) -> None:
    assert all(isinstance(text, str) for text in found(listener=wrong, pool=wrong, admin=wrong))
