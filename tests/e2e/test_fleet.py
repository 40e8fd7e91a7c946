"""Several balancers of one fleet, with a real etcd."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from signal import SIGHUP
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.etcd_server import node

from .backend import ScriptedBackend, serve
from .balancer import Balancer, command
from .configuration import configuration
from .conftest import Backends

Fleet = Callable[..., Awaitable[Balancer]]


@pytest.fixture
def fleet_name() -> str:
    return uuid4().hex


@pytest_asyncio.fixture(loop_scope="session")
async def replica(directory: Path, etcd_url: str, fleet_name: str, backends: Backends) -> AsyncIterator[Fleet]:
    """Starts a balancer of the test's fleet, by its name. One that a test has killed need not end well."""
    started: list[Balancer] = []

    async def start(name: str, *members: ScriptedBackend, etcd: str = etcd_url, **changes: Any) -> Balancer:
        folder = directory / name
        folder.mkdir()
        urls = [(member.name, member.url) for member in members]
        own = {"name": fleet_name, "replica": name, "etcd": [etcd], "lease": "2s"}
        config = configuration(folder, urls, **{"server_url": "http://login.test", "fleet": own, **changes})
        started.append(await Balancer.start(config, folder))
        return started[-1]

    try:
        yield start
        for balancer in started:
            if balancer.process.returncode is None:
                await balancer.stop()
    finally:
        for balancer in started:
            await balancer.kill()
            print(*balancer.log, sep="\n")


async def in_fleet(balancer: Balancer, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """What it knows of its fleet, when that is so."""
    snapshot = await balancer.until(lambda seen: condition(seen["fleet"]))
    found: dict[str, Any] = snapshot["fleet"]
    return found


def named(fleet: dict[str, Any], name: str) -> dict[str, Any]:
    """The replica, empty if it is not known."""
    return next((one for one in fleet["replicas"] if one["name"] == name), {})


async def told(*arguments: str) -> str:
    """What a command prints that goes well."""
    code, out, err = await command(*arguments)
    assert (code, err) == (0, "")
    return out


@pytest.mark.parametrize("workers", [1, 2])
async def test_replicas_know_each_other(backends: Backends, replica: Fleet, workers: int) -> None:
    [backend] = await backends(serve)
    one = await replica("lb1", backend, workers=workers)
    other = await replica("lb2", backend, workers=workers)
    for balancer in (one, other):
        await in_fleet(balancer, lambda fleet: len(fleet["replicas"]) == 2)
    view = json.loads(await told("fleet", "-c", str(one.path), "--json"))
    assert [(each["name"], each["this"], each["differs"]) for each in view["replicas"]] == [
        ("lb1", True, []),
        ("lb2", False, []),
    ]
    assert "member; 2 replicas" in await told("fleet", "-c", str(other.path))
    await other.stop()
    await in_fleet(one, lambda fleet: len(fleet["replicas"]) == 1)


async def test_a_killed_one_is_missed_and_a_reloaded_one_is_not(backends: Backends, replica: Fleet) -> None:
    [backend] = await backends(serve)
    one, other = await replica("lb1", backend), await replica("lb2", backend)
    before = named(await in_fleet(one, lambda fleet: named(fleet, "lb2")), "lb2")
    other.path.write_text(other.path.read_text().replace('"2s"', '"3s"', 1))
    other.signal(SIGHUP)
    after = named(await in_fleet(one, lambda fleet: named(fleet, "lb2")["differs"]), "lb2")
    assert (after["since"], after["gone"]) == (before["since"], None)
    assert [each["what"] for each in after["differs"]] == ["configuration"]
    await other.kill()
    await in_fleet(one, lambda fleet: named(fleet, "lb2")["gone"])
    assert not [line for line in [*one.log, *other.log] if "fleet_name" in line]


async def test_a_name_that_another_one_has(backends: Backends, replica: Fleet, directory: Path) -> None:
    [backend] = await backends(serve)
    one = await replica("lb1", backend)
    other = await replica("twin", backend, fleet={**one.config["fleet"]})
    await other.logged("fleet_name_held")
    assert (await in_fleet(other, lambda fleet: True))["membership"] == "name taken"
    assert (await other.ask()).status == 200
    await other.logged("ERROR fleet_name_taken")
    await one.stop()
    await in_fleet(other, lambda fleet: fleet["membership"] == "member")


async def test_it_starts_and_serves_without_etcd(backends: Backends, replica: Fleet, tmp_path: Path) -> None:
    [backend] = await backends(serve)
    with node(tmp_path) as etcd:
        etcd.kill()
        balancer = await replica("lb1", backend, etcd=etcd.url)
        assert (await balancer.ask()).status == 200
        assert (await balancer.admin("/readyz")).status == 200
        await balancer.logged("ERROR fleet_unreachable")
        assert "etcd out of reach for" in await told("status", "-c", str(balancer.path))
        await asyncio.to_thread(etcd.start)
        await balancer.logged("INFO fleet_reached")
        await in_fleet(balancer, lambda fleet: fleet["membership"] == "member")
        await asyncio.to_thread(etcd.kill)
        await balancer.logged("ERROR fleet_unreachable", count=2)
        assert (await balancer.ask()).status == 200
        assert (await balancer.admin("/readyz")).status == 200
        await balancer.stop()
