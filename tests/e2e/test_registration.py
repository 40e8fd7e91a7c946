"""Connectors that register themselves in a real etcd: three become four under load, and three again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lbproxy.control.discovery.registry import connectors
from lbproxy.control.etcd import Access, Etcd
from tests.control.probes.kerberos.peers import jumping_clock
from tests.etcd_server import cluster, node

from .backend import Lane, answer
from .balancer import Balancer, running
from .client import Client
from .configuration import configuration, toml
from .conftest import Backends, Balance
from .crowd import Crowd, serve_posts
from .registrar import Registrar, registered
from .surroundings import Surroundings
from .test_discovery import has_answered, inside

SECRET = "correct-horse"
CHECK = {"kind": "tcp", "interval": "200ms"}
POOL = {"backends": [], "discover": {"kind": "etcd", "empty_after": "1h"}, "check": CHECK}


@pytest.fixture
def fleet(etcd_url: str) -> dict[str, Any]:
    """A fleet of the test's own."""
    return {"name": uuid4().hex, "replica": "lb1", "etcd": [etcd_url], "lease": "2s"}


@pytest.fixture
def fleet_file(directory: Path, fleet: dict[str, Any]) -> Path:
    path = directory / "fleet.toml"
    path.write_text(f'[fleet]\nname = "{fleet["name"]}"\netcd = ["{fleet["etcd"][0]}"]\nlease = "2s"\n')
    return path


class Held:
    """A backend's script that answers when it is let."""

    def __init__(self) -> None:
        self.asked = asyncio.Semaphore(0)
        self.free = asyncio.Event()

    async def __call__(self, lane: Lane) -> None:
        while await lane.request():
            self.asked.release()
            await self.free.wait()
            await lane.send(answer(b"late"))


@pytest.mark.parametrize("workers", [1, 2])
async def test_registrations_make_four_of_three_and_three_again_and_no_request_is_lost(
    backends: Backends, balance: Balance, fleet: dict[str, Any], fleet_file: Path, workers: int
) -> None:
    members = await backends(*[serve_posts] * 4)
    async with registered(fleet_file, *members[:3]) as registrars:
        balancer = await balance(pool=POOL, fleet=fleet, workers=workers)
        await balancer.until(inside(3))
        async with Crowd(balancer.connect, kept=4, new=2) as crowd:
            fourth = await Registrar.start(fleet_file, members[3])
            await balancer.until(inside(4))
            await has_answered(balancer, "c4")
            registrars[1].terminate()
            assert await registrars[1].exited() == 0
            answered = len(members[1].requests)
            await balancer.until(inside(3))
            before = len(crowd.answered)
            while len(crowd.answered) < before + 20:  # noqa: ASYNC110 # the crowd has no event for it
                await asyncio.sleep(0.01)
            await fourth.kill()
            await balancer.until(lambda now: "c4" not in names(now))
        assert len(members[1].requests) == answered, "nothing comes when the command has ended"
    status = await balancer.backends()
    assert {one["source"] for one in status.values()} <= {"etcd"}
    asked = [seen.target for member in members for seen in member.requests]
    assert sorted(asked) == sorted(crowd.answered), "each request was answered, and reached one backend once"


def names(now: dict[str, Any]) -> list[str]:
    return [one["name"] for one in now["pools"][0]["backends"]]


@asynccontextmanager
async def another(directory: Path, fleet: dict[str, Any], **changes: Any) -> AsyncIterator[Balancer]:
    """A second balancer of the fleet."""
    folder = directory / "lb2"
    folder.mkdir()
    config = configuration(folder, [], pool=POOL, fleet=fleet | {"replica": "lb2"}, **changes)
    async with running(config, folder, None) as balancer:
        yield balancer


async def hold(balancer: Balancer, script: Held) -> tuple[Client, asyncio.Task[Any]]:
    """A request that waits at the backend."""
    client = await balancer.connect()
    asking = asyncio.ensure_future(client.ask("/", "POST", body=b"x"))
    await script.asked.acquire()
    return client, asking


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_command_that_is_told_to_end_waits_for_all_balancers(
    backends: Backends, balance: Balance, directory: Path, fleet: dict[str, Any], fleet_file: Path, workers: int
) -> None:
    """The last connector of the pool leaves, and each of two balancers has a request on it."""
    script = Held()
    [only] = await backends(script)
    keys: dict[str, Any] = {"workers": workers, "drain_timeout": "50s"}
    async with registered(fleet_file, only) as [registrar], another(directory, fleet, **keys) as second:
        first = await balance(pool=POOL, fleet=fleet, **keys)
        held = []
        for balancer in (first, second):
            await balancer.until(inside(1))
            held.append(await hold(balancer, script))
        registrar.terminate()
        for replica, balancer in (("lb1", first), ("lb2", second)):
            await registrar.logged("connector_draining", f"{replica}.{balancer.pid}: has 1 to finish")
        for balancer in (first, second):
            assert await balancer.backends() == {}, "it is out at once, although it was the last one"
        assert registrar.running
        script.free.set()
        assert await registrar.exited() == 0
        assert "connector_drained connector=connectors/c1" in registrar.log[-1]
        for client, asking in held:
            assert (await asking).status == 200
            await client.close()


async def test_one_that_is_killed_is_out_within_its_lease(
    backends: Backends, balance: Balance, fleet: dict[str, Any], fleet_file: Path
) -> None:
    """Its connector serves on, so that no probe finds it."""
    members = await backends(*[serve_posts] * 3)
    async with registered(fleet_file, *members) as registrars:
        balancer = await balance(pool=POOL, fleet=fleet)
        await balancer.until(inside(3))
        await registrars[0].kill()
        await balancer.until(lambda now: sorted(names(now)) == ["c2", "c3"])
        left = await balancer.logged("backend_left", "backend=c1")
        assert "source=etcd" in left


async def test_without_etcd_the_last_connectors_serve(
    backends: Backends, balance: Balance, directory: Path, fleet: dict[str, Any], tmp_path: Path
) -> None:
    members = await backends(serve_posts, serve_posts)
    with node(tmp_path) as server:
        fleet["etcd"] = [server.url]
        path = directory / "own.toml"
        path.write_text(f'[fleet]\nname = "{fleet["name"]}"\netcd = ["{server.url}"]\nlease = "2s"\n')
        async with registered(path, *members):
            balancer = await balance(pool=POOL, fleet=fleet)
            await balancer.until(inside(2))
            await asyncio.to_thread(server.kill)
            await balancer.logged("discovery_stale", "source=etcd")
            assert (await balancer.ask("/", "POST", body=b"x")).status == 200
            assert inside(2)(await balancer.status())
            await asyncio.to_thread(server.start)
            await balancer.logged("discovery_recovered")
            assert inside(2)(await balancer.status())


async def test_one_of_another_version_than_most_never_gets_a_request(
    backends: Backends, balance: Balance, fleet: dict[str, Any], fleet_file: Path
) -> None:
    members = await backends(*[serve_posts] * 4)
    facts = {"connector": {"registered": True}, "version": {"registered": True}}
    pool = POOL | {"consistency": {"policy": "eject-minority", "facts": facts}}
    right, other = (("--fact", "connector=a", "--fact", f"version={version}") for version in ("1.8.0", "1.7.0"))
    async with registered(fleet_file, *members[:3], options=right):
        balancer = await balance(pool=pool, fleet=fleet, workers=2)
        await balancer.until(inside(3))
        async with Crowd(balancer.connect, kept=4, new=2):
            fourth = await Registrar.start(fleet_file, members[3], *other)
            await balancer.until(lambda now: kept_out(now) == {"c4": "version is 1.7.0, most have 1.8.0"})
            ejected = await balancer.logged("backend_ejected", "backend=c4", "reason=consistency")
            assert "version is 1.7.0, most have 1.8.0" in ejected
            balancer.signal(signal.SIGHUP)
            await balancer.logged("generation_ended")
            assert "c4" in kept_out(await balancer.until(lambda now: now["state"] == "serving"))
        assert members[3].requests == []
        fourth.terminate()
        assert await fourth.exited() == 0
        fourth = await Registrar.start(fleet_file, members[3], *right)
        await balancer.until(inside(4))
        await fourth.kill()


def kept_out(now: dict[str, Any]) -> dict[str, str]:
    """Those that are up, and in which fact they differ."""
    return {
        one["name"]: one["inconsistent"]
        for one in now["pools"][0]["backends"]
        if one["inconsistent"] and one["state"] == "up"
    }


async def test_a_leader_of_etcd_that_is_killed_costs_no_request_and_no_backend(
    backends: Backends, balance: Balance, directory: Path, fleet: dict[str, Any], tmp_path: Path
) -> None:
    members = await backends(*[serve_posts] * 3)
    with cluster(tmp_path, 3) as nodes:
        leader, *others = await asyncio.to_thread(sorted, nodes, key=lambda one: not one.leads)
        path, fleet["etcd"] = directory / "own.toml", [one.url for one in (leader, *others)]
        path.write_text(toml({"fleet": fleet}))
        async with registered(path, *members[:2]):
            balancer = await balance(pool=POOL, fleet=fleet)
            await balancer.until(inside(2))
            async with Crowd(balancer.connect, kept=4, new=2) as crowd:
                await asyncio.to_thread(leader.kill)
                async with registered(path, members[2]):
                    await balancer.until(inside(3))
                    await has_answered(balancer, "c3")
            assert not [line for line in balancer.log if "backend_left" in line and "c3" not in line]
    asked = [seen.target for member in members for seen in member.requests]
    assert sorted(asked) == sorted(crowd.answered)


async def test_a_clock_that_jumps_ends_no_lease(
    backends: Backends, balance: Balance, directory: Path, fleet: dict[str, Any], fleet_file: Path, etcd_url: str
) -> None:
    """A day ahead, and back: balancer and registrations live by libfaketime, etcd by the machine's clock."""
    offset = directory / "offset"
    offset.write_text("+0")
    around = Surroundings(environment=jumping_clock(offset))
    [member] = await backends(serve_posts)
    config = configuration(directory, [], pool=POOL, fleet=fleet)
    etcd = Etcd(Access((etcd_url,)))
    registrar = await Registrar.start(fleet_file, member, around=around)
    async with running(config, directory, None, around) as balancer:
        await balancer.until(inside(1))
        [before] = (await etcd.list(connectors(fleet["name"], "connectors"))).values
        days = []
        for jump in ("+1d", "-1d", "+0"):
            offset.write_text(jump)
            await sand_runs_out(etcd, fleet["name"], 4)
            balancer.forget()
            assert (await balancer.ask("/", "POST", body=b"x")).status == 200
            [record] = await balancer.accessed()
            days.append(record["time"][:10])
            assert inside(1)(await balancer.status())
        assert len(set(days)) == 3, "the jumps were real"
        [after] = (await etcd.list(connectors(fleet["name"], "connectors"))).values
        assert after == before, "it is the same lease, and nothing was written"
    await registrar.kill()
    await etcd.close()


async def sand_runs_out(etcd: Etcd, name: str, seconds: int) -> None:
    """Wait for as long as a lease takes that nobody keeps: by etcd's clock, not by ours."""
    key = f"/hourglass/{name}/{seconds}"
    async with etcd.mirror(key) as mirror:
        await mirror.next()
        lease, _ = await etcd.grant(seconds)
        await etcd.put(key, b"", lease)
        assert (await mirror.next()).values
        assert not (await mirror.next()).values


async def test_passwords_are_in_no_log_and_no_status(
    backends: Backends, balance: Balance, directory: Path, fleet: dict[str, Any], tmp_path: Path
) -> None:
    """Of a user whom etcd knows, and of one whose password it refuses."""
    [member] = await backends(serve_posts)
    with node(tmp_path) as server:
        await asyncio.to_thread(server.demand_passwords, SECRET)
        right = {**fleet, "etcd": [server.url], "user": "lbproxy", "password": SECRET}
        path = directory / "own.toml"
        path.write_text(toml({"fleet": right}))
        async with registered(path, member) as [registrar]:
            balancer = await balance(pool=POOL, fleet=right)
            await balancer.until(inside(1))
            async with another(directory, right | {"password": "wrong" + SECRET}) as other:
                await other.logged("discovery_stale", "invalid user ID or password")
                shown = [*balancer.log, *other.log, *registrar.log]
                for one in (balancer, other):
                    shown += [(await one.admin(page)).body.decode() for page in ("/status", "/metrics")]
            assert not [line for line in shown if SECRET in line]
