from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientResponse

from lbproxy.control.admin.routes import metrics_routes, read_routes
from lbproxy.control.snapshot import Snapshot
from tests.control.admin.serving import Client, serving
from tests.control.sample import dead_backend, pool, snapshot


class Balancer:
    """What the routes look at: its snapshot is a fresh one each time."""

    def __init__(self) -> None:
        self.view = snapshot()

    def __call__(self) -> Snapshot:
        return self.view


@pytest.fixture
def balancer() -> Balancer:
    return Balancer()


@pytest.fixture
async def client(balancer: Balancer) -> AsyncIterator[Client]:
    async with serving(read_routes(balancer)) as client:
        yield client


async def read(response: ClientResponse) -> tuple[int, str]:
    return response.status, await response.text()


async def test_status_is_the_snapshot(client: Client) -> None:
    response = await client.get("/status")
    assert response.content_type == "application/json"
    assert await response.json() == json.loads(json.dumps(snapshot()))


async def test_metrics_are_the_snapshot_of_now(client: Client, balancer: Balancer) -> None:
    balancer.view["listeners"][0]["requests"] = 12345
    status, text = await read(await client.get("/metrics"))
    assert status == 200
    assert 'lbproxy_requests_total{listener="login"} 12345.0' in text


async def test_metrics_may_be_all_that_there_is(balancer: Balancer) -> None:
    counted: list[bool] = []

    async def count() -> None:
        counted.append(True)

    async with serving(metrics_routes(balancer, count)) as client:
        assert [(await client.get(path)).status for path in ("/metrics", "/status", "/healthz")] == [200, 404, 404]
    assert counted == [True]


async def test_metrics_have_the_type_that_was_asked_for(client: Client) -> None:
    plain = await client.get("/metrics")
    assert plain.headers["Content-Type"].startswith("text/plain; version=")
    openmetrics = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text")


async def test_health_does_not_depend_on_backends(client: Client, balancer: Balancer) -> None:
    balancer.view["pools"] = [pool("a", dead_backend("a1"))]
    assert await read(await client.get("/healthz")) == (200, "ok\n")


async def test_readiness_does(client: Client, balancer: Balancer) -> None:
    assert await read(await client.get("/readyz")) == (200, "ok\n")
    balancer.view["pools"] = [pool("a", dead_backend("a1"))]
    assert await read(await client.get("/readyz")) == (503, "no backend is in rotation in pool a\n")


async def test_a_stopping_balancer_is_not_ready(client: Client, balancer: Balancer) -> None:
    balancer.view["state"] = "draining"
    assert await read(await client.get("/readyz")) == (503, "lbproxy is draining\n")


@pytest.mark.parametrize("path", ["/status", "/metrics", "/healthz", "/readyz"])
async def test_nothing_here_changes_anything(client: Client, path: str) -> None:
    assert (await client.post(path)).status == 405
