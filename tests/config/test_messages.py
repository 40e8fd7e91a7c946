from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lbproxy.config.messages import problems
from lbproxy.config.models import Base, Config

LISTENER = {"bind": "127.0.0.1:1", "pool": "p"}
BACKEND = {"name": "c1", "url": "http://c1"}
SOUND = {
    "server_url": "https://login.corp.example",
    "listener": {"login": LISTENER},
    "pool": {"p": {"backends": [BACKEND]}},
}


def found(**changes: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Config.model_validate(SOUND | changes, context=Base(Path("/etc/lbproxy")))
    return [str(problem) for problem in problems(caught.value, Config)]


def in_listener(**keys: Any) -> list[str]:
    return found(listener={"login": LISTENER | keys})


def in_pool(**keys: Any) -> list[str]:
    return found(pool={"p": {"backends": [BACKEND]} | keys})


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"pool": 1}, "listener.login.pool: must be a string"),
        ({"max_connections": "1"}, "listener.login.max_connections: must be a whole number"),
        ({"max_connections": True}, "listener.login.max_connections: must be a whole number"),
        ({"max_connections": 0}, "listener.login.max_connections: must be at least 1"),
        ({"max_header_lines": 10_001}, "listener.login.max_header_lines: must be at most 10000"),
        ({"allow_underscores": 1}, "listener.login.allow_underscores: must be true or false"),
        ({"allow": "10.0.0.0/8"}, "listener.login.allow: must be a list"),
        ({"allow": ["x"]}, "listener.login.allow[0]: 'x' is not an address or a network such as 10.0.0.0/8"),
        ({"hosts": []}, "listener.login.hosts: needs at least one entry"),
        ({"tls": 1}, "listener.login.tls: must be a table"),
        ({"mode": "udp"}, "listener.login.mode: must be 'http', 'tcp' or 'sni'"),
        ({"idle_timeout": "0s"}, "listener.login.idle_timeout: must be more than 0"),
    ],
)
def test_each_kind_of_error_in_plain_words(keys: dict[str, Any], problem: str) -> None:
    assert in_listener(**keys) == [problem]


def test_missing_keys_and_sections() -> None:
    assert found(listener={"login": {}}) == ["listener.login.bind: missing"]
    assert found(listener=1, pool=[]) == ["listener: must be a table", "pool: must be a table"]
    assert in_pool(backends=[{}]) == ["pool.p.backends[0].name: missing", "pool.p.backends[0].url: missing"]


def test_the_name_of_a_table_is_checked_too() -> None:
    assert found(listener={"a b": LISTENER}) == [
        "listener.\"a b\": 'a b' is not a name: a letter or digit, and up to 62 more, '-', '_' and '.'"
    ]


@pytest.mark.parametrize(
    ("problem", "reported"),
    [
        (lambda: found(server_ulr=1), "server_ulr: unknown key; did you mean server_url?"),
        (lambda: found(listeners={}), "listeners: unknown key; did you mean listener?"),
        (lambda: in_listener(tsl={}), "listener.login.tsl: unknown key; did you mean tls?"),
        (lambda: in_pool(check={"raise": 1}), "pool.p.check.raise: unknown key; did you mean rise?"),
        (lambda: in_pool(tls={"cas": "x"}), "pool.p.tls.cas: unknown key; did you mean ca?"),
        (
            lambda: in_pool(backends=[BACKEND | {"URL": "x", "uri": "x"}]),
            "pool.p.backends[0].uri: unknown key; did you mean url?",
        ),
        (lambda: found(admin={"binds": "x"}), "admin.binds: unknown key; did you mean bind?"),
    ],
)
def test_an_unknown_key_is_told_what_may_be_meant(problem: Any, reported: str) -> None:
    assert reported in problem()


@pytest.mark.parametrize(
    ("problem", "reported"),
    [
        (
            lambda: in_pool(timeout="1s"),
            "pool.p.timeout: unknown key here; it belongs to [pool.p.check]",
        ),
        (
            lambda: in_listener(drain_timeout="1s"),
            "listener.login.drain_timeout: unknown key here; it belongs to the top of the file",
        ),
        (lambda: found(hosts=[]), "hosts: unknown key here; it belongs to [listener.NAME]"),
        (
            lambda: in_pool(check_url="http://x"),
            "pool.p.check_url: unknown key here; it belongs to an entry of pool.p.backends",
        ),
        (lambda: in_listener(mint={}), "listener.login.mint: unknown key here; it belongs to [listener.login.tls]"),
        (lambda: found(tls={}), "tls: unknown key here; it belongs to [listener.NAME] or [pool.NAME]"),
        (
            lambda: in_pool(backends=[BACKEND, BACKEND | {"interval": "1s"}]),
            "pool.p.backends[1].interval: unknown key here; it belongs to [pool.p.discover] or"
            " [pool.p.check] or [pool.p.consistency]",
        ),
    ],
)
def test_a_key_in_the_wrong_table_is_told_where_it_belongs(problem: Any, reported: str) -> None:
    assert problem() == [reported]


def test_a_key_that_many_tables_have_belongs_to_none_of_them() -> None:
    assert found(certificate="x") == ["certificate: unknown key"]


def test_an_unknown_key_that_is_like_no_other() -> None:
    assert in_listener(colour="red") == ["listener.login.colour: unknown key"]
