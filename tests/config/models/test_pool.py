from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lbproxy.config import Backend, Check, Pool


def test_values_arrive_in_seconds_bytes_and_shares(pool: Callable[[str], Pool]) -> None:
    found = pool('readmit_backoff = "2m"\nretry_buffer = "0B"\nretry_budget = "12.5%"\nslow_start = "500ms"')
    assert (found.readmit_backoff, found.slow_start) == (120.0, 0.5)
    assert (found.retry_buffer, found.retry_budget) == (0, 0.125)


def test_its_defaults(pool: Callable[[str], Pool]) -> None:
    found = pool("")
    assert (found.retry_buffer, found.retry_budget, found.retry_statuses) == (65536, 0.2, ())
    assert (found.slow_start, found.readmit_backoff, found.bare_lf) == (0.0, 60.0, "refuse")


def test_its_own_certificate(pool: Callable[[str], Pool], tmp_path: Path) -> None:
    tls = pool('tls = { certificate = "lbproxy.pem", key = "lbproxy.key" }').tls
    assert (tls.certificate, tls.key) == (tmp_path / "lbproxy.pem", tmp_path / "lbproxy.key")


def test_a_name_of_backends_that_is_an_address(pool: Callable[[str], Pool]) -> None:
    assert pool('tls.server_name = "[::1]"').tls.server_name == "::1", "brackets are in no certificate"


@pytest.mark.parametrize(
    ("lines", "url"),
    [
        ("", "http://10.0.0.11:4000/"),
        ('check.path = "/health?deep=1"', "http://10.0.0.11:4000/health?deep=1"),
        ('check.url = "http://{host}:8080/healthz"', "http://10.0.0.11:8080/healthz"),
        ('check.url = "https://monitor.example/c1"', "https://monitor.example/c1"),
    ],
)
def test_what_a_probe_asks_for(lines: str, url: str, pool: Callable[[str], Pool]) -> None:
    found = pool(lines)
    assert found.probe_url(found.backends[0]) == url


def test_what_a_probe_asks_for_where_a_backend_has_its_own() -> None:
    backend = Backend(name="c1", url="http://[2001:db8::1]:4000", check_url="https://{host}:1/x")
    found = Pool(backends=(backend,), check=Check(url="http://{host}:8080/healthz"))
    assert found.probe_url(backend) == "https://[2001:db8::1]:1/x"


@pytest.mark.parametrize(
    ("kind", "http", "https", "tcp"),
    [
        ("none", "none", "none", "none"),
        ("tcp", "tcp", "tcp", "tcp"),
        ("tls", "tcp", "tls", "tls"),
        ("http", "http", "http", "tcp"),
        ("kerberos", "kerberos", "kerberos", "tcp"),
    ],
)
def test_how_each_backend_is_probed(kind: Any, http: str, https: str, tcp: str) -> None:
    backends = tuple(Backend(name=scheme, url=f"{scheme}://a:1") for scheme in ("http", "HTTPS", "tcp"))
    found = Pool(backends=backends, check=Check(kind=kind))
    assert [found.probe_kind(backend) for backend in backends] == [http, https, tcp]


@pytest.mark.parametrize("kind", ["http", "kerberos"])
def test_a_page_of_its_own_may_be_asked_for(kind: Any) -> None:
    plain, own = (Backend(name="t", url="tcp://a:1", check_url=url) for url in (None, "http://a:2/healthz"))
    assert Pool(backends=(own,), check=Check(kind=kind)).probe_kind(own) == kind
    assert Pool(backends=(plain,), check=Check(kind=kind, url="http://{host}:2/")).probe_kind(plain) == kind


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('idle_lane_timeout = "0ms"', "idle_lane_timeout: must be more than 0"),
        ('when_all_down = "cry"', "when_all_down: must be 'try' or 'refuse'"),
        ('send_proxy_protocol = "v3"', "send_proxy_protocol: must be 'none', 'v1' or 'v2'"),
        ('bare_lf = "fix"', "bare_lf: must be 'refuse' or 'accept'"),
        ('retry_buffer = "17MiB"', "retry_buffer: must be between 0B and 16MiB"),
        ("retry_budget = 0.2", 'retry_budget: 0.2 is not a percentage from "0%" to "100%"'),
        ("retry_statuses = [499]", "retry_statuses[0]: must be at least 500"),
        ("tls.server_name = 1", "tls.server_name: must be a string"),
    ],
)
def test_impossible_pools(line: str, problem: str, problems_of_pool: Callable[[str], list[str]]) -> None:
    assert problems_of_pool(line) == [f"pool.connectors.{problem}"]


def test_a_pool_without_backends(problems_of: Callable[[str], list[str]], sound: str) -> None:
    assert problems_of(re.sub("backends = .*", "backends = []", sound)) == [
        "pool.connectors.backends: needs at least one entry"
    ]
