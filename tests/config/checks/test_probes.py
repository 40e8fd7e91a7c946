from __future__ import annotations

from typing import Any

import pytest

from lbproxy.config.checks.probes import problems, warnings
from tests.config.checks.documents import POOL, with_pool

TCP = {"backends": [{"name": "t1", "url": "tcp://t1"}, {"name": "t2", "url": "tcp://t2"}]}
HTTPS = {"backends": [{"name": "c1", "url": "https://c1"}]}
KERBEROS = {"principal": "a@B", "keytab": "k", "spn": "HTTP@a"}


def found(pool: Any, **check: Any) -> list[str]:
    return [str(problem) for problem in problems(with_pool(pool, check=check))]


def warned(pool: Any, **check: Any) -> list[str]:
    """The warnings; there is no problem."""
    assert found(pool, **check) == []
    return [str(warning) for warning in warnings(with_pool(pool, check=check))]


@pytest.mark.parametrize("kind", ["none", "tcp", "tls"])
def test_keys_of_requests_are_not_used_by_a_check_that_sends_none(kind: str) -> None:
    pool = {"backends": [{"name": "c1", "url": "https://c1", "check_url": "http://c1/healthz"}]}
    assert warned(pool, kind=kind, path="/", expect=[200], kerberos={}, rise=1) == [
        f'pool.p.check.path: has no meaning with kind = "{kind}"',
        f'pool.p.check.expect: has no meaning with kind = "{kind}"',
        f'pool.p.check.kerberos: has no meaning with kind = "{kind}"',
        f'pool.p.backends[0].check_url: has no meaning with kind = "{kind}"',
    ]


def test_a_check_has_a_url_or_a_path() -> None:
    assert warned(POOL, url="http://{host}:8080/healthz", path="/") == [
        "pool.p.check.path: has no meaning beside url, which holds the path"
    ]


def test_a_kerberos_check_needs_its_table_and_no_other_does() -> None:
    assert warned(POOL, kind="kerberos", kerberos=KERBEROS, path="/wsfed", expect=[200]) == []
    assert found(POOL, kind="kerberos") == [
        'pool.p.check.kerberos: missing; kind = "kerberos" needs principal, keytab and spn in it'
    ]
    assert warned(POOL, kerberos=KERBEROS) == ['pool.p.check.kerberos: has no meaning with kind = "http"']


def test_a_kerberos_check_asks_with_get_and_takes_no_401() -> None:
    assert warned(POOL, kind="kerberos", kerberos={}, method="HEAD", expect=[200, 401]) == [
        'pool.p.check.method: has no meaning with kind = "kerberos"',
        "pool.p.check.expect: 401 is how a ticket is refused; it is no success here",
    ]
    assert found(POOL, kind="kerberos", kerberos={}, expect=[401]) == [
        "pool.p.check.expect: needs another status: 401 is how a ticket is refused"
    ]


BY_CONNECT = "backends only: they are probed by whether they accept a connection"


def test_a_tls_check_needs_backends_with_tls() -> None:
    mixed = {"backends": [*HTTPS["backends"], *POOL["backends"]]}
    for pool in (mixed, HTTPS, TCP):
        assert warned(pool, kind="tls") == []
    assert warned(POOL, kind="tls") == [f"pool.p.check.kind: has no meaning with http:// {BY_CONNECT}"]


@pytest.mark.parametrize("kind", ["none", "tcp", "tls"])
def test_tcp_backends_are_checked_without_a_page(kind: str) -> None:
    assert warned(TCP, kind=kind) == []


@pytest.mark.parametrize("kind", ["http", "kerberos"])
def test_or_with_a_page_that_has_an_address_of_its_own(kind: str) -> None:
    check = {"kind": kind, "kerberos": KERBEROS} if kind == "kerberos" else {"kind": kind}
    assert warned(TCP, **check) == [f"pool.p.check.kind: has no meaning with tcp:// {BY_CONNECT}"]
    assert warned(TCP, **check, url="https://{host}:4443/") == []
    first, second = TCP["backends"]
    assert warned({"backends": [first | {"check_url": "http://a/"}, second]}, **check) == []
    assert warned({"backends": [first, *POOL["backends"]]}, **check) == []


def test_the_kind_that_nobody_chose_is_not_what_a_warning_is_about() -> None:
    assert warned(TCP) == []
    assert warned(TCP, path="/healthz") == [f"pool.p.check.path: has no meaning with tcp:// {BY_CONNECT}"]


def test_probes_have_an_identity_where_something_is_minted_only() -> None:
    assert warned(POOL, identity="CN=a") == [
        "pool.p.check.identity: has no meaning without a listener that mints certificates for this pool"
    ]
    tls = {"client_certificate": "optional", "client_identity": "mint"}
    minting = {"listener": {"a": {"pool": "p", "tls": tls}}}
    assert list(warnings(with_pool(HTTPS, check={"identity": "CN=a"}) | minting)) == []
