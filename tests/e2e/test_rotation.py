"""Round robin, probes, ejection and return."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.ports import free_port

from .backend import Lane, ScriptedBackend, answer
from .balancer import Balancer
from .conftest import Backends, Balance, Share

QUICK = {"interval": "100ms", "timeout": "1s"}
"""Of a check; tests wait for what follows from the probes, never for their times."""


class Health:
    """A script that answers probes (GET /healthz) with `status` and everything else with the backend's name."""

    def __init__(self, status: str = "200 OK") -> None:
        self.status = status
        self.probes = 0

    async def __call__(self, lane: Lane) -> None:
        while seen := await lane.request():
            if seen.target == b"/healthz":
                self.probes += 1
                await lane.send(answer(status=self.status))
            else:
                await lane.send(answer(lane.backend.name.encode()))


async def until_state(balancer: Balancer, name: str, state: str) -> None:
    """Ask for the status until the backend `name` is in `state`."""
    await balancer.until(
        lambda now: (name, state) in [(each["name"], each["state"]) for each in now["pools"][0]["backends"]]
    )


async def spread(balancer: Balancer, count: int) -> Counter[bytes]:
    """Who answered `count` requests of one client connection."""
    async with await balancer.connect() as client:
        return Counter([(await client.ask()).body for _ in range(count)])


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_requests_of_one_connection_are_spread_evenly(share: Share, tls: bool) -> None:
    balancer, _ = await share(*[Health()] * 3, tls=tls)
    assert await spread(balancer, 300) == {b"c1": 100, b"c2": 100, b"c3": 100}


async def test_connections_of_one_request_are_spread_evenly(share: Share) -> None:
    balancer, _ = await share(*[Health()] * 3)
    assert Counter([(await balancer.ask()).body for _ in range(300)]) == {b"c1": 100, b"c2": 100, b"c3": 100}


async def test_concurrent_requests_are_spread_evenly(share: Share) -> None:
    balancer, _ = await share(*[Health()] * 3)
    before = await balancer.backends()
    spreads = await asyncio.gather(*(spread(balancer, 10) for _ in range(30)))
    assert sum(spreads, Counter()) == {b"c1": 100, b"c2": 100, b"c3": 100}
    after = await balancer.backends()
    assert [after[name]["requests"] - before[name]["requests"] for name in ("c1", "c2", "c3")] == [100, 100, 100]


async def test_a_401_is_healthy_when_expected(backends: Backends, balance: Balance) -> None:
    first, second = Health("401 Unauthorized"), Health("500 Broken")
    check = {"kind": "http", "path": "/healthz", "expect": [200, 401], **QUICK}
    balancer = await balance(*await backends(first, second), pool={"check": check})
    status = await balancer.backends()
    assert (status["c1"]["state"], status["c2"]["state"]) == ("up", "down")
    assert status["c2"]["probe"]["ok"] is False
    assert "500" in status["c2"]["probe"]["detail"]
    assert await spread(balancer, 10) == {b"c1": 10}


async def test_the_default_check_takes_a_401_for_healthy(backends: Backends, balance: Balance) -> None:
    async def unauthorized(lane: Lane) -> None:
        while await lane.request():
            await lane.send(answer(b"", "WWW-Authenticate: Negotiate", status="401 Unauthorized"))

    balancer = await balance(*await backends(unauthorized), pool={"check": {"kind": "http"}})
    assert (await balancer.backends())["c1"]["state"] == "up"


async def test_a_tcp_check_connects(backends: Backends, balance: Balance) -> None:
    [backend] = await backends(Health())
    balancer = await balance(backend, pool={"check": {"kind": "tcp", **QUICK}})
    assert (await balancer.backends())["c1"]["state"] == "up"
    await backend.stop()
    await until_state(balancer, "c1", "down")
    await backend.start()
    await until_state(balancer, "c1", "up")
    assert not backend.requests


async def test_the_check_may_be_at_another_port(backends: Backends, balance: Balance) -> None:
    """As for connectors with a health page of their own, on :8080/healthz."""
    user, health = Health(), Health()
    [backend] = await backends(user)
    [page] = await backends(health)
    check = {"kind": "http", "url": f"{page.url}/healthz", **QUICK}
    balancer = await balance(backend, pool={"check": check})
    assert await spread(balancer, 3) == {b"c1": 3}
    assert (health.probes >= 1, user.probes) == (True, 0)
    health.status = "503 Gone"
    await until_state(balancer, "c1", "down")
    health.status = "200 OK"
    await until_state(balancer, "c1", "up")


async def test_bad_probes_eject_and_good_ones_readmit(backends: Backends, balance: Balance) -> None:
    first, second = Health(), Health()
    check = {"kind": "http", "path": "/healthz", "rise": 3, "fall": 1, **QUICK}
    balancer = await balance(*await backends(first, second), pool={"check": check})
    second.status = "500 Broken"
    await balancer.logged("backend_ejected", "c2")
    assert await spread(balancer, 10) == {b"c1": 10}
    before, second.status = second.probes, "200 OK"
    await balancer.logged("backend_readmitted", "c2", count=2)
    assert second.probes - before >= 3
    assert await spread(balancer, 10) == {b"c1": 5, b"c2": 5}
    assert (await balancer.backends())["c2"]["ejections"] == 1


async def test_fall_counts_bad_probes_in_a_row(backends: Backends, balance: Balance) -> None:
    script = Health()
    [backend] = await backends(script)
    check = {"kind": "http", "path": "/healthz", "fall": 3, **QUICK}
    balancer = await balance(backend, pool={"check": check})
    before, script.status = script.probes, "500 Broken"
    await until_state(balancer, "c1", "down")
    assert script.probes - before >= 3


async def test_a_hanging_probe_is_a_bad_one(backends: Backends, balance: Balance) -> None:
    async def hangs(lane: Lane) -> None:
        await lane.request()
        await lane.until_closed()

    balancer = await balance(*await backends(hangs, Health()), pool={"check": {"kind": "http", "timeout": "200ms"}})
    assert (await balancer.backends())["c1"]["state"] == "down"
    assert await spread(balancer, 4) == {b"c2": 4}


async def test_a_backend_joins_after_its_first_good_probe(backends: Backends, balance: Balance) -> None:
    """`ready` does not wait for it: one that is down at the start has had its first probe too."""
    late = ScriptedBackend("c2", Health())
    late.port = free_port()
    [first] = await backends(Health())
    balancer = await balance(first, late, pool={"check": {"kind": "http", "path": "/healthz", **QUICK}})
    assert await spread(balancer, 10) == {b"c1": 10}
    await late.start()
    try:
        await until_state(balancer, "c2", "up")
        assert await spread(balancer, 10) == {b"c1": 5, b"c2": 5}
    finally:
        await late.stop()
