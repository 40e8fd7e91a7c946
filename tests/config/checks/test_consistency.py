from __future__ import annotations

from typing import Any

import pytest

from lbproxy.config.checks.consistency import problems
from tests.config.checks.documents import POOL, TCP_POOL, with_pool

HTTPS = {"backends": [{"name": "c1", "url": "https://c1"}]}
FACTS = "pool.p.consistency.facts"
ONE_SOURCE = (
    f"{FACTS}.f: must have one source: url or path with json, regex or header; or certificate, metadata, kvno or"
    " registered = true"
)


def found(fact: Any, pool: Any = HTTPS, **keys: Any) -> list[str]:
    guarded = with_pool(pool, consistency={"facts": {"f": fact}}, **keys)
    return [str(problem) for problem in problems(guarded)]


@pytest.mark.parametrize(
    "fact",
    [
        {"url": "http://{host}:1/", "json": "/version"},
        {"path": "/", "regex": "(.*)"},
        {"path": "/", "header": "Server", "equal": "a", "certificate": False},
        {"certificate": True},
        {"metadata": True, "equal": "https://other.example"},
    ],
)
def test_one_source(fact: Any) -> None:
    assert found(fact) == []


@pytest.mark.parametrize(
    "fact",
    [
        {},
        {"equal": "a"},
        {"path": "/"},
        {"header": "Server"},
        {"path": "/", "url": "http://a/", "header": "Server"},
        {"path": "/", "header": "Server", "regex": "(.*)"},
        {"path": "/", "header": "Server", "certificate": True},
        {"certificate": True, "metadata": True},
        {"metadata": True, "url": "http://a/"},
        {"certificate": False},
    ],
)
def test_none_half_a_source_or_two(fact: Any) -> None:
    assert found(fact) == [ONE_SOURCE]


def test_a_guard_compares_something() -> None:
    def guard(**keys: Any) -> list[str]:
        return [str(problem) for problem in problems(with_pool(consistency=keys))]

    missing = [f"{FACTS}: missing; without facts there is nothing to compare"]
    assert guard() == guard(policy="warn") == guard(facts={}) == missing
    assert guard(policy="off") == []


def test_a_kerberos_key_is_seen_by_a_kerberos_check() -> None:
    assert found({"kvno": True}) == [f'{FACTS}.f.kvno: is seen by check.kind = "kerberos" only']
    assert found({"kvno": True}, check={"kind": "kerberos"}) == []


def test_what_is_registered_is_known_of_registered_backends() -> None:
    assert found({"registered": True}) == [f'{FACTS}.f.registered: is known with discover.kind = "etcd" only']
    assert found({"registered": True}, pool={}, discover={"kind": "etcd"}) == []


def test_a_certificate_is_shown_by_backends_with_tls() -> None:
    assert found({"certificate": True}, POOL) == [f"{FACTS}.f.certificate: http://c1 has none"]
    assert found({"certificate": True}, TCP_POOL) == []


@pytest.mark.parametrize("fact", [{"metadata": True}, {"path": "/", "header": "Server"}])
def test_a_tcp_backend_has_no_page_of_its_own(fact: Any) -> None:
    assert found(fact, TCP_POOL) == [
        f"{FACTS}.f: a tcp:// backend has no page of its own: give url, and json, regex or header"
    ]
    assert found({"url": "https://{host}:1/", "header": "Server"}, TCP_POOL) == []
