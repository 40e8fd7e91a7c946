"""What orchestrators ask: is it alive, and should it get traffic?"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.ports import free_port

from .backend import Lane
from .balancer import running
from .client import Client, request
from .configuration import configuration
from .conftest import Backends, Balance
from .message import Response


async def ask(port: int, path: str, host: str = "10.0.0.7") -> Response:
    async with await Client.connect(("127.0.0.1", port)) as client:
        await client.send(request(path, "GET", "Connection: close", host=host))
        return await client.response()


async def test_health_has_a_port_of_its_own(backends: Backends, directory: Path) -> None:
    [backend] = await backends()
    config, port = configuration(directory, [(backend.name, backend.url)]), free_port()
    config["admin"] = {**config["admin"], "health": f"127.0.0.1:{port}"}
    async with running(config, directory) as balancer:
        paths = ("/healthz", "/readyz", "/status", "/metrics")
        assert [(await ask(port, path)).status for path in paths] == [200, 200, 404, 404]
        await balancer.admin("/backends/c1/drain?force=true", "POST")
        answer = await ask(port, "/readyz")
        assert (answer.status, answer.body) == (503, b"no backend is in rotation in pool connectors\n")


@pytest.mark.parametrize("workers", [1, 2])
async def test_metrics_have_a_port_of_their_own(backends: Backends, directory: Path, workers: int) -> None:
    [backend] = await backends()
    config, port = configuration(directory, [(backend.name, backend.url)], workers=workers), free_port()
    config["admin"] = {**config["admin"], "metrics": f"127.0.0.1:{port}"}
    async with running(config, directory) as balancer:
        paths = ("/metrics", "/healthz", "/readyz", "/status", "/backends/c1/drain")
        assert [(await ask(port, path)).status for path in paths] == [200, 404, 404, 404, 404]
        before = balancer.pid
        balancer.signal(signal.SIGHUP)
        await balancer.logged("generation_ended")
        await balancer.until(lambda now: now["generation"]["pid"] != before)
        answer = await ask(port, "/metrics")
        assert b'lbproxy_backend_up{backend="c1",pool="connectors"} 1.0' in answer.body


async def test_who_drains_after_a_reload_is_not_asked(backends: Backends, balance: Balance) -> None:
    """It would answer that it drains, and lbproxy would get no traffic."""
    going_on = asyncio.Event()

    async def slow(lane: Lane) -> None:
        await lane.request()
        await lane.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", b"sl")
        await going_on.wait()
        await lane.send(b"ow")

    balancer = await balance(*await backends(slow), drain_timeout="20s")
    async with await balancer.connect() as client:
        await client.send(request())
        assert (await client.head()).status == 200
        old = balancer.pid
        balancer.signal(signal.SIGHUP)
        await balancer.logged("draining")
        await balancer.until(lambda now: now["generation"]["pid"] != old)  # it closes what it was just asked
        for _ in range(20):
            assert (await balancer.admin("/readyz")).status == 200
            assert (await balancer.status())["generation"]["pid"] != old
        assert old in balancer.generations
        going_on.set()
        assert await client.read(4) == b"slow"


async def test_who_stops_says_so(backends: Backends, balance: Balance) -> None:
    asked, going_on = asyncio.Event(), asyncio.Event()

    async def slow(lane: Lane) -> None:
        await lane.request()
        asked.set()
        await going_on.wait()
        await lane.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    balancer = await balance(*await backends(slow), drain_timeout="20s")
    async with await balancer.connect() as client:
        await client.send(request())
        await asked.wait()
        balancer.signal(signal.SIGTERM)
        await balancer.logged("draining")
        answer = await balancer.admin("/readyz")
        assert (answer.status, answer.body) == (503, b"lbproxy is draining\n")
        going_on.set()
        assert (await client.response()).status == 200
    assert await balancer.exited() == 0
