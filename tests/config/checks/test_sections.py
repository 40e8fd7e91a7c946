from __future__ import annotations

from typing import Any

import pytest

from lbproxy.config.checks.sections import problems
from tests.config.checks.documents import LISTENER, POOL, document


def found(**changes: Any) -> list[str]:
    return [str(problem) for problem in problems(document(**changes))]


@pytest.mark.parametrize("section", ["listener", "pool"])
def test_each_section_needs_an_entry(section: str) -> None:
    assert found(**{section: {}}) == [f"{section}: missing; at least one [{section}.NAME] is needed"]


def test_a_group_needs_a_user() -> None:
    assert found(group="lbproxy") == ["group: has no meaning without user"]
    assert found(group="lbproxy", user="lbproxy") == []


def test_two_things_cannot_bind_one_address() -> None:
    admin = dict.fromkeys(("bind", "health", "metrics"), "127.0.0.1:1")
    assert found(listener={"a": LISTENER, "b": LISTENER}, admin=admin) == [
        "listener.b.bind: '127.0.0.1:1' is taken by listener.a.bind",
        "admin.bind: '127.0.0.1:1' is taken by listener.a.bind",
        "admin.health: '127.0.0.1:1' is taken by listener.a.bind",
        "admin.metrics: '127.0.0.1:1' is taken by listener.a.bind",
    ]


def test_port_0_is_another_port_each_time() -> None:
    any_port = LISTENER | {"bind": "127.0.0.1:0"}
    assert found(listener={"a": any_port, "b": any_port}) == []


def test_a_server_name_has_one_pool() -> None:
    sni = {"Login.example": "p", "login.example": "q", "*.example": "p"}
    assert found(listener={"a": {"sni": sni}}) == [
        'listener.a.sni."login.example": \'login.example\' is taken by listener.a.sni."Login.example"'
    ]
    assert found(listener={"a": {"sni": {"a.example": "p"}}, "b": {"sni": {"a.example": "p"}}}) == []


def test_names_and_urls_of_backends_are_unique_in_their_pool() -> None:
    twice = {"backends": [{"name": "c1", "url": "http://a"}, {"name": "c1", "url": "http://A/"}]}
    assert found(pool={"p": twice}) == [
        "pool.p.backends[1].name: 'c1' is taken by pool.p.backends[0].name",
        "pool.p.backends[1].url: 'http://a' is taken by pool.p.backends[0].url",
    ]
    assert found(pool={"p": POOL, "q": POOL}) == []
