from __future__ import annotations

from typing import Any

import pytest

from lbproxy.config.checks.probes import problems
from tests.config.checks.documents import POOL, with_pool

TCP = {"backends": [{"name": "t1", "url": "tcp://t1"}, {"name": "t2", "url": "tcp://t2"}]}
HTTPS = {"backends": [{"name": "c1", "url": "https://c1"}]}
KERBEROS = {"principal": "a@B", "keytab": "k", "spn": "HTTP@a"}


def found(pool: Any, **check: Any) -> list[str]:
    return [str(problem) for problem in problems(with_pool(pool, check=check))]


@pytest.mark.parametrize("kind", ["none", "tcp", "tls"])
def test_keys_of_requests_need_a_check_that_sends_some(kind: str) -> None:
    pool = {"backends": [{"name": "c1", "url": "https://c1", "check_url": "http://c1/healthz"}]}
    assert found(pool, kind=kind, path="/", expect=[200], rise=1) == [
        f'pool.p.check.path: has no meaning with kind = "{kind}"',
        f'pool.p.check.expect: has no meaning with kind = "{kind}"',
        f'pool.p.backends[0].check_url: has no meaning with kind = "{kind}"',
    ]


def test_a_check_has_a_url_or_a_path() -> None:
    assert found(POOL, url="http://{host}:8080/healthz", path="/") == [
        "pool.p.check.path: has no meaning beside url, which holds the path"
    ]


def test_a_kerberos_check_needs_its_table_and_no_other_does() -> None:
    assert found(POOL, kind="kerberos", kerberos=KERBEROS, path="/wsfed", expect=[200]) == []
    assert found(POOL, kind="kerberos") == [
        'pool.p.check.kerberos: missing; kind = "kerberos" needs principal, keytab and spn in it'
    ]
    for other in ({}, {"kind": "tcp"}):
        assert found(POOL, **other, kerberos=KERBEROS) == [
            'pool.p.check.kerberos: has a meaning only with kind = "kerberos"'
        ]


def test_a_kerberos_check_asks_with_get_and_takes_no_401() -> None:
    assert found(POOL, kind="kerberos", kerberos={}, method="HEAD", expect=[200, 401]) == [
        'pool.p.check.method: has no meaning with kind = "kerberos"',
        "pool.p.check.expect: 401 is how a ticket is refused; it is no success here",
    ]


def test_a_tls_check_needs_backends_with_tls() -> None:
    mixed = {"backends": [*HTTPS["backends"], {"name": "c2", "url": "http://c2"}]}
    assert found(mixed, kind="tls") == ['pool.p.backends[1].url: check.kind = "tls" finds no TLS at an http:// backend']
    assert found(HTTPS, kind="tls") == found(TCP, kind="tls") == []


@pytest.mark.parametrize("kind", ["none", "tcp", "tls"])
def test_tcp_backends_are_checked_without_a_page(kind: str) -> None:
    assert found(TCP, kind=kind) == []


@pytest.mark.parametrize("check", [{}, {"kind": "http"}, {"kind": "kerberos", "kerberos": KERBEROS}])
def test_or_with_a_page_that_has_an_address_of_its_own(check: Any) -> None:
    kind = check.get("kind", "http")
    assert found(TCP, **check) == [
        f'pool.p.check.url: missing; kind = "{kind}" cannot ask tcp:// backends otherwise '
        '(or use kind = "tls" or "tcp")'
    ]
    assert found(TCP, **check, url="https://{host}:4443/") == []


def test_each_tcp_backend_may_have_its_own_page() -> None:
    first, second = ({**backend, "check_url": "http://a/"} for backend in TCP["backends"])
    assert found({"backends": [first, second]}) == []
    assert len(found({"backends": [first, TCP["backends"][1]]})) == 1
