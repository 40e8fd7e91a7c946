from __future__ import annotations

from typing import Any

import pytest

from lbproxy.config.checks.pools import passes_through, problems
from tests.config.checks.documents import POOL, TCP_POOL, with_pool


def found(pool: Any, **keys: Any) -> list[str]:
    return [str(problem) for problem in problems(with_pool(pool, **keys))]


@pytest.mark.parametrize("pool", [POOL, TCP_POOL])
def test_sound_pools(pool: Any) -> None:
    tls = {"ca": "a", "certificate": "b", "key": "c"}
    assert found(pool, tls=tls, slow_start="1s", readmit_backoff="1s", send_proxy_protocol="v2") == []


@pytest.mark.parametrize(("given", "missing"), [("certificate", "key"), ("key", "certificate")])
def test_a_certificate_needs_its_key_and_a_key_its_certificate(given: str, missing: str) -> None:
    assert found(POOL, tls={given: "a"}) == [f"pool.p.tls.{missing}: missing; {given} is of no use without it"]


@pytest.mark.parametrize(
    "key",
    [
        "response_timeout",
        "idle_lane_timeout",
        "consecutive_errors",
        "retry_buffer",
        "retry_budget",
        "retry_statuses",
    ],
)
def test_connections_that_are_passed_through_have_no_requests(key: str) -> None:
    assert found(TCP_POOL, **{key: 1}) == [f"pool.p.{key}: has no meaning with tcp:// backends"]
    assert found(POOL, **{key: 1}) == []


def test_pools_that_pass_connections_through() -> None:
    assert passes_through("t", TCP_POOL)
    assert not passes_through("p", POOL)
