from __future__ import annotations

from typing import Any

import pytest

from lbproxy.config.checks import forwarding, pools, probes
from lbproxy.config.checks.discover import problems, warnings
from tests.config.checks.documents import PASSING, document, with_pool

DNS = {"kind": "dns", "name": "c.test", "port": 4000}
SRV = {"kind": "dns", "name": "_login._tcp.c.test", "record": "srv"}
FILE = {"kind": "file", "path": "backends.json"}
ETCD = {"kind": "etcd"}
KUBERNETES = {"kind": "kubernetes", "service": "c"}


def found(discover: Any, **keys: Any) -> list[str]:
    return [str(problem) for problem in problems(with_pool({}, discover=discover, **keys))]


def warned(**keys: Any) -> list[str]:
    return [str(warning) for warning in warnings(with_pool({}, **keys))]


@pytest.mark.parametrize(
    "discover", [DNS, SRV, FILE, KUBERNETES, KUBERNETES | {"port": "http", "scheme": "tcp", "namespace": "n"}]
)
@pytest.mark.parametrize("keys", [{}, {"backends": []}])
def test_a_pool_with_a_discovery_needs_no_backends(discover: Any, keys: Any) -> None:
    more = {"interval": "5s", "on_empty": "accept", "empty_after": "1s"}
    assert found(discover | more, **keys) == []


def test_a_pool_without_any_source() -> None:
    assert [str(one) for one in problems(with_pool({}))] == ["pool.p.backends: missing"]
    assert [str(one) for one in problems(with_pool({"backends": []}))] == ["pool.p.backends: needs at least one entry"]


@pytest.mark.parametrize(
    ("discover", "problem"),
    [
        ({"kind": "dns", "port": 1}, 'name: missing; kind = "dns" needs it'),
        ({"kind": "dns", "name": "c.test"}, 'port: missing; kind = "dns" needs it'),
        ({"kind": "file"}, 'path: missing; kind = "file" needs it'),
        ({"kind": "kubernetes"}, 'service: missing; kind = "kubernetes" needs it'),
        (DNS | {"port": "http"}, 'port: must be a whole number with kind = "dns"'),
        (DNS | {"service": "c"}, 'service: has no meaning with kind = "dns"'),
        (KUBERNETES | {"record": "srv"}, 'record: has no meaning with kind = "kubernetes"'),
        (DNS | {"path": "x"}, 'path: has no meaning with kind = "dns"'),
        (FILE | {"scheme": "http"}, 'scheme: has no meaning with kind = "file"'),
        (ETCD, 'kind: kind = "etcd" needs the table [fleet]'),
        (FILE | {"nameservers": []}, 'nameservers: has no meaning with kind = "file"'),
        (SRV | {"port": 1}, 'port: has no meaning with record = "srv", which has the ports'),
    ],
)
def test_keys_belong_to_their_kind(discover: Any, problem: str) -> None:
    assert found(discover) == [f"pool.p.discover.{problem}"]


@pytest.mark.parametrize("discover", [1, {}, {"kind": 1}, {"kind": "x", "path": 1}])
def test_what_the_models_refuse_is_left_to_them(discover: Any) -> None:
    assert found(discover) == []


def test_etcd_is_that_of_the_fleet() -> None:
    fleet = {"name": "eu", "etcd": ["http://e:2379"]}
    assert list(problems(document(fleet=fleet, pool={"p": {"discover": ETCD}}))) == []
    [problem] = problems(document(fleet=fleet, pool={"p": {"discover": ETCD | {"path": "x"}}}))
    assert str(problem) == 'pool.p.discover.path: has no meaning with kind = "etcd"'


def test_only_a_name_is_expanded() -> None:
    entry = {"name": "a", "url": "http://10.0.0.1:1", "expand": True, "check_url": "http://x/"}
    assert [str(one) for one in problems(with_pool({"backends": [entry]}))] == [
        "pool.p.backends[0].expand: http://10.0.0.1:1 has an address already; only a name is expanded",
        "pool.p.backends[0].check_url: has no meaning with expand; check.url may have {host} for each address",
    ]


def test_https_backends_without_a_name_are_warned_of() -> None:
    entry = {"name": "a", "url": "https://c.test", "expand": True}
    assert warned(backends=[entry], discover=DNS | {"scheme": "https"}) == [
        "pool.p.discover.scheme: without tls.server_name, https has no name to verify: its backends are at addresses,"
        " so their certificates must have those",
        "pool.p.backends[0].expand: without tls.server_name, https://c.test has no name to verify: its backends are at"
        " addresses, so their certificates must have those",
    ]
    for tls in ({"server_name": "login.test"}, {"verify": False}):
        assert warned(backends=[entry], discover=DNS | {"scheme": "https"}, tls=tls) == []


def test_a_listener_fits_what_is_discovered() -> None:
    def unfit(discover: Any) -> list[str]:
        return [str(one) for one in forwarding.problems(document(listener={"t": PASSING | {"pool": "p"}}, pool={
            "p": {"discover": discover}}))]  # fmt: skip

    assert unfit(DNS | {"scheme": "tcp"}) == unfit(KUBERNETES | {"scheme": "tcp"}) == unfit(FILE) == []
    assert (
        unfit(DNS)
        == unfit(KUBERNETES)
        == ["listener.t.pool: listener.t passes connections through, and [pool.p] has no tcp:// backend for it"]
    )


def test_what_has_no_meaning_depends_on_what_is_discovered() -> None:
    def meaningless(discover: Any) -> list[str]:
        pool = with_pool({}, discover=discover, check={"kind": "http"}, retry_budget="1%")
        return [str(one) for check in (pools, probes) for one in check.warnings(pool)]

    assert meaningless(DNS) == meaningless(FILE) == []
    assert [line.partition(":")[0] for line in meaningless(DNS | {"scheme": "tcp"})] == [
        "pool.p.retry_budget",
        "pool.p.check.kind",
    ]
