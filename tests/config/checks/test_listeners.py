from __future__ import annotations

from typing import Any

import pytest

from lbproxy.config.checks.listeners import problems
from tests.config.checks.documents import LISTENER, PASSING, with_listener

SNI = {"bind": "127.0.0.1:1", "mode": "sni", "sni": {"a.example": "t"}}


def found(listener: Any, **keys: Any) -> list[str]:
    return [str(problem) for problem in problems(with_listener(listener, **keys))]


@pytest.mark.parametrize("listener", [LISTENER, LISTENER | {"mode": "http"}, PASSING, SNI])
def test_sound_listeners(listener: Any) -> None:
    everywhere: Any = {"allow": [], "idle_timeout": "1s", "accept_proxy_protocol_from": ["::1"], "max_connections": 1}
    assert found(listener, **everywhere) == []


@pytest.mark.parametrize("mode", ["http", "tcp"])
def test_a_listener_needs_a_pool(mode: str) -> None:
    assert found({"bind": "127.0.0.1:1", "mode": mode}) == ["listener.a.pool: missing"]


def test_mode_sni_needs_its_table_and_no_pool() -> None:
    assert found({"mode": "sni", "pool": "t"}) == [
        'listener.a.pool: has no meaning with mode = "sni", whose table sni names the pools',
        'listener.a.sni: missing; mode = "sni" needs a pool for each server name in it',
    ]
    assert found(SNI, sni={}) == ['listener.a.sni: missing; mode = "sni" needs a pool for each server name in it']


@pytest.mark.parametrize("listener", [LISTENER, PASSING])
def test_other_modes_have_no_pools_by_server_name(listener: Any) -> None:
    assert found(listener, sni={"a.example": "t"}) == ['listener.a.sni: has no meaning without mode = "sni"']


@pytest.mark.parametrize("listener", [PASSING, SNI])
def test_what_is_passed_through_has_no_tls_here(listener: Any) -> None:
    mode = listener["mode"]
    assert found(listener, tls={"certificate": "a", "key": "b"}) == [
        f'listener.a.tls: has no meaning with mode = "{mode}": TLS is passed through to the backends'
    ]


@pytest.mark.parametrize("listener", [PASSING, SNI])
@pytest.mark.parametrize(
    "key",
    [
        "trust_forwarded_from",
        "hosts",
        "deny_paths",
        "strip_headers",
        "allow_underscores",
        "max_header_size",
        "max_target_size",
        "max_header_lines",
    ],
)
def test_what_is_passed_through_has_no_requests(listener: Any, key: str) -> None:
    assert found(listener, **{key: 1}) == [f'listener.a.{key}: has no meaning with mode = "{listener["mode"]}"']
    assert found(listener, **{key: []}) == found(LISTENER, **{key: 1}) == []


@pytest.mark.parametrize(
    "key", ["accept_proxy_protocol_from", "trust_forwarded_from", "allow", "max_connections_per_address"]
)
def test_peers_of_a_unix_socket_have_no_address(key: str) -> None:
    assert found(LISTENER | {"bind": "unix:a.sock"}, **{key: 1}) == [
        f"listener.a.{key}: has no meaning with a unix: bind, whose peers have no address"
    ]
    assert found(LISTENER, **{key: 1}) == []


def test_who_asks_for_nothing_by_address_may_say_so() -> None:
    keys: Any = {"accept_proxy_protocol_from": [], "trust_forwarded_from": [], "allow": ["0.0.0.0/0", "::/0"]}
    assert found(LISTENER | {"bind": "unix:a.sock"}, **keys) == []
