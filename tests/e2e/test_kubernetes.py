"""Pods of a Service: three become four under load, and three again, as a rolling update does it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.control.kubernetes.api_server import ApiServer, Object, endpoint, endpoint_slice, terminating

from .backend import Lane, ScriptedBackend, answer
from .balancer import running
from .configuration import configuration
from .conftest import Backends, Balance
from .crowd import Crowd
from .progress import DEADLINE
from .surroundings import in_a_pod
from .test_discovery import CHECK, has_answered, inside


@pytest_asyncio.fixture(loop_scope="session")
async def server(directory: Path) -> AsyncIterator[ApiServer]:
    async with ApiServer(directory) as server:
        yield server


def pod(member: ScriptedBackend, going: bool = False) -> Object:
    """All pods of a test have one address, so each has a slice of its own with its port."""
    what = terminating if going else endpoint
    return endpoint_slice(f"connectors-{member.name}", what(member.name, "127.0.0.1"), port=member.port)


def pool(server: ApiServer, directory: Path, **discover: Any) -> dict[str, Any]:
    (directory / "token").write_text(server.token)
    kubeconfig = server.kubeconfig(directory / "kubeconfig", tokenFile="token")
    keys = {"kind": "kubernetes", "service": "connectors", "port": "http", "kubeconfig": str(kubeconfig), **discover}
    return {"backends": [], "discover": keys, "check": CHECK}


@pytest.mark.parametrize("workers", [1, 2])
async def test_pods_come_and_go_and_no_request_is_lost(
    backends: Backends, balance: Balance, server: ApiServer, directory: Path, workers: int
) -> None:
    members = await backends(*[_posts] * 4)
    for member in members[:3]:
        server.put(pod(member))
    balancer = await balance(pool=pool(server, directory), workers=workers)
    await balancer.until(inside(3))
    async with Crowd(balancer.connect, kept=4, new=2) as crowd:
        server.put(pod(members[3]))
        await balancer.until(inside(4))
        await has_answered(balancer, "c4")
        server.put(pod(members[1], going=True))
        await balancer.until(inside(3))
        server.delete("connectors-c2")
        before = len(crowd.answered)
        async with asyncio.timeout(DEADLINE):
            while len(crowd.answered) < before + 20:  # noqa: ASYNC110 # the crowd has no event for it
                await asyncio.sleep(0.01)
    status = await balancer.backends()
    assert set(status) == {"c1", "c3", "c4"}
    assert {one["source"] for one in status.values()} == {"kubernetes"}
    asked = [seen.target for member in members for seen in member.requests]
    assert sorted(asked) == sorted(crowd.answered), "each request was answered, and reached one backend once"
    assert "secret" not in "".join(balancer.log) + str(await balancer.status())


async def test_an_api_server_that_is_gone_and_a_token_that_was_replaced_are_told_and_cost_nothing(
    backends: Backends, balance: Balance, server: ApiServer, directory: Path
) -> None:
    members = await backends(_posts, _posts)
    for member in members:
        server.put(pod(member))
    balancer = await balance(pool=pool(server, directory, interval="1s"))
    await balancer.until(inside(2))
    await server.stop()
    await balancer.logged("discovery_stale", "source=kubernetes")
    assert (await balancer.ask("/", "POST", body=b"x")).status == 200
    status = await balancer.until(lambda now: now["pools"][0]["discovery"][0]["stale_seconds"] > 0)
    assert inside(2)(status)
    server.token = "secret-token-2"
    await server.start()
    await balancer.until(lambda now: "401 Unauthorized" in (now["pools"][0]["discovery"][0]["error"] or ""))
    (directory / "token").write_text(server.token)
    await balancer.logged("discovery_recovered", "source=kubernetes")
    server.put(pod(members[0], going=True))
    await balancer.until(inside(1))
    assert "secret" not in "".join(balancer.log)


async def test_in_a_pod_it_has_the_pods_own_account(backends: Backends, server: ApiServer, directory: Path) -> None:
    members = await backends(_posts, _posts)
    for member in members:
        server.put(pod(member))
    account = directory / "serviceaccount"
    account.mkdir()
    around = in_a_pod(directory, account, server.mount(account))
    discover = {"kind": "kubernetes", "service": "connectors", "port": "http"}
    config = configuration(directory, [], pool={"discover": discover, "check": CHECK})
    async with running(config, directory, around=around) as balancer:
        await balancer.until(inside(2))
        assert (await balancer.ask("/", "POST", body=b"x")).status == 200
        server.token = "secret-token-2"
        server.mount(account)  # as the kubelet does it
        server.end_watches()
        await server.has(2, "watch")
        server.put(pod(members[0], going=True))
        await balancer.until(inside(1))
        assert "discovery_stale" not in "".join(balancer.log)
    tokens = [one.token for one in server.of("watch")]
    assert tokens[0] == "secret-token-1"
    assert tokens[-1] == "secret-token-2"


async def test_a_reload_keeps_the_pods(
    backends: Backends, balance: Balance, server: ApiServer, directory: Path
) -> None:
    members = await backends(_posts, _posts)
    for member in members:
        server.put(pod(member))
    balancer = await balance(pool=pool(server, directory, interval="1s"))
    await balancer.until(inside(2))
    await server.stop()
    before = balancer.pid
    balancer.signal(signal.SIGHUP)
    await balancer.logged("generation_ended")  # or its admin socket may still answer, and be cut
    status = await balancer.until(lambda now: now["generation"]["pid"] != before)
    assert inside(2)(status)
    await server.start()
    server.put(pod(members[0], going=True))
    await balancer.until(inside(1))


async def _posts(lane: Lane) -> None:
    while await lane.request():
        await lane.send(answer(lane.backend.name.encode()))
