from __future__ import annotations

from typing import Any

import pytest

from lbproxy.config.checks.pools import problems, warnings
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
        "bare_lf",
        "response_timeout",
        "idle_lane_timeout",
        "consecutive_errors",
        "retry_buffer",
        "retry_budget",
        "retry_statuses",
    ],
)
def test_keys_of_requests_are_not_used_where_all_connections_are_passed_through(key: str) -> None:
    def warned(pool: Any) -> list[str]:
        assert found(pool, **{key: 1}) == []
        return [str(warning) for warning in warnings(with_pool(pool, **{key: 1}))]

    assert warned(TCP_POOL) == [f"pool.p.{key}: has no meaning with tcp:// backends only"]
    assert warned(POOL) == warned({"backends": [*POOL["backends"], *TCP_POOL["backends"]]}) == []
