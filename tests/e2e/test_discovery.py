"""Backends that nobody writes into the configuration: three become four under load, and three again."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.control.discovery.dnsmasq import Dnsmasq

from .backend import Lane, ScriptedBackend, answer
from .balancer import Balancer, command, running
from .configuration import configuration
from .conftest import Backends, Balance
from .crowd import Crowd
from .surroundings import Surroundings

NAME = "_login._tcp.test"
CHECK = {"kind": "tcp", "interval": "200ms"}


def write(path: Path, members: list[ScriptedBackend]) -> None:
    """As a deployment does it: whole, by a rename."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps([{"name": one.name, "url": one.url} for one in members]))
    new.rename(path)


def inside(count: int) -> Callable[[dict[str, Any]], bool]:
    """Whether so many members are there, and all in rotation."""

    def holds(now: dict[str, Any]) -> bool:
        return [one["in_rotation"] for one in now["pools"][0]["backends"]] == [True] * count

    return holds


def services(members: Iterable[ScriptedBackend]) -> list[str]:
    """As dnsmasq has them."""
    return [f"--srv-host={NAME},host.test,{member.port}" for member in members]


async def has_answered(balancer: Balancer, name: str, least: int = 5) -> None:
    def enough(now: dict[str, Any]) -> bool:
        return any(one["name"] == name and one["requests"] >= least for one in now["pools"][0]["backends"])

    await balancer.until(enough)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_file_makes_four_of_three_and_three_again_and_no_request_is_lost(
    backends: Backends, balance: Balance, directory: Path, workers: int
) -> None:
    path = directory / "backends.json"
    members = await backends(*[_posts] * 4)
    write(path, members[:3])
    discover = {"kind": "file", "path": str(path)}
    balancer = await balance(pool={"backends": [], "discover": discover, "check": CHECK}, workers=workers)
    await balancer.until(inside(3))
    async with Crowd(balancer.connect, kept=4, new=2) as crowd:
        write(path, members)
        await balancer.until(inside(4))
        await has_answered(balancer, "c4")
        write(path, [members[0], *members[2:]])
        await balancer.until(inside(3))
        before = len(crowd.answered)
        while len(crowd.answered) < before + 20:  # noqa: ASYNC110 # the crowd has no event for it
            await asyncio.sleep(0.01)
    status = await balancer.backends()
    assert set(status) == {"c1", "c3", "c4"}
    assert {one["source"] for one in status.values()} == {"file-list"}
    joined = [line for line in balancer.log if "backend_joined" in line]
    left = [line for line in balancer.log if "backend_left" in line]
    assert len(joined) == 4
    assert len(left) == 1
    assert "source=file-list" in left[0]
    asked = [seen.target for member in members for seen in member.requests]
    assert sorted(asked) == sorted(crowd.answered), "each request was answered, and reached one backend once"


async def test_dns_makes_four_of_three_and_three_again_and_no_request_is_lost(
    backends: Backends, balance: Balance, tmp_path: Path
) -> None:
    members = await backends(*[_posts] * 4)
    with Dnsmasq(tmp_path, *services(members[:3])) as server:
        server.serves({"host.test": ["127.0.0.1"]})
        discover = {"kind": "dns", "name": NAME, "record": "srv", "nameservers": [server.address], "interval": "1s"}
        balancer = await balance(pool={"backends": [], "discover": discover, "check": CHECK})
        await balancer.until(inside(3))
        async with Crowd(balancer.connect, kept=4, new=2) as crowd:
            await asyncio.to_thread(server.restart, *services(members))
            await balancer.until(inside(4))
            await has_answered(balancer, f"host.test:{members[3].port}")
            await asyncio.to_thread(server.restart, *services([members[0], *members[2:]]))
            await balancer.until(inside(3))
        there = {f"host.test:{member.port}" for member in (members[0], *members[2:])}
        assert set(await balancer.backends()) == there
        asked = [seen.target for member in members for seen in member.requests]
        assert sorted(asked) == sorted(crowd.answered)
        balancer.forget()
        # The server goes away: everything stays, and the trouble is told.
        server.stop()
        await balancer.logged("discovery_stale", "source=dns")
        status = await balancer.until(lambda now: now["pools"][0]["discovery"][0]["stale_seconds"] > 0)
        assert inside(3)(status)
        metrics = (await balancer.admin("/metrics")).body.decode()
        assert 'lbproxy_discovery_stale_seconds{pool="connectors",source="dns"}' in metrics


@asynccontextmanager
async def at_addresses(count: int) -> AsyncIterator[list[ScriptedBackend]]:
    """Backends at 127.0.0.1, 127.0.0.2 and so on, all at one port, as a name leads to them."""
    made = [ScriptedBackend(f"127.0.0.{number}", _posts) for number in range(1, count + 1)]
    try:
        for one in made:
            one.host, one.port = one.name, made[0].port
            await one.start()
        yield made
    finally:
        for one in made:
            await one.stop()


async def test_addresses_make_four_of_three_and_three_again_and_no_request_is_lost(
    balance: Balance, tmp_path: Path
) -> None:
    async with at_addresses(4) as members:
        with Dnsmasq(tmp_path) as server:
            names = [one.name for one in members]
            server.serves({"c.test": names[:3]})
            discover = {"kind": "dns", "name": "c.test.", "port": members[0].port, "nameservers": [server.address],
                        "interval": "1s"}  # fmt: skip
            balancer = await balance(pool={"backends": [], "discover": discover, "check": CHECK})
            await balancer.until(inside(3))
            async with Crowd(balancer.connect, kept=4, new=2) as crowd:
                await asyncio.to_thread(server.serves, {"c.test": names})
                await balancer.until(inside(4))
                await has_answered(balancer, names[3])
                await asyncio.to_thread(server.serves, {"c.test": names[1:]})
                await balancer.until(inside(3))
            assert set(await balancer.backends()) == set(names[1:])
        asked = [seen.target for member in members for seen in member.requests]
        assert sorted(asked) == sorted(crowd.answered)


@pytest.mark.skipif(
    subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0,
    reason="without mount namespaces no process has hosts of its own",
)
async def test_every_address_of_an_expanded_name_is_a_backend(directory: Path) -> None:
    """Its process has an /etc/hosts of its own; a reload looks it up at once."""
    hosts = directory / "hosts"
    around = Surroundings(["unshare", "--mount", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"])
    async with at_addresses(4) as members:

        def write(count: int) -> None:
            hosts.write_text("".join(f"{one.host} connectors.test\n" for one in members[:count]))

        write(3)
        entry = {"name": "c", "url": f"http://connectors.test:{members[0].port}", "expand": True, "weight": 2}
        config = configuration(directory, [], pool={"backends": [entry], "check": CHECK})
        async with running(config, directory, None, around) as balancer:
            await balancer.until(inside(3))
            async with Crowd(balancer.connect, kept=4, new=2) as crowd:
                for count in (4, 3):
                    write(count)
                    balancer.forget()
                    balancer.signal(signal.SIGHUP)
                    await balancer.logged("generation_ended")
                    await balancer.until(inside(count))
                    await has_answered(balancer, f"c@{members[count - 1].name}")
            status = await balancer.backends()
            assert set(status) == {f"c@{one.name}" for one in members[:3]}
            assert {(one["source"], one["weight"]) for one in status.values()} == {("expand:c", 2)}
        asked = [seen.target for member in members for seen in member.requests]
        assert sorted(asked) == sorted(crowd.answered)


async def test_a_reload_keeps_discovered_backends_and_their_health(
    backends: Backends, balance: Balance, directory: Path
) -> None:
    path = directory / "backends.json"
    members = await backends(_posts, _posts)
    write(path, members)
    check = {"kind": "tcp", "interval": "1h"}
    discover = {"kind": "file", "path": str(path)}
    balancer = await balance(pool={"backends": [], "discover": discover, "check": check})
    await balancer.until(inside(2))
    path.write_text("not yet whole")
    await balancer.logged("discovery_stale", "it is not JSON")
    before = balancer.pid
    balancer.signal(signal.SIGHUP)
    await balancer.logged("generation_ended")  # or its admin socket may still answer, and be cut
    status = await balancer.until(lambda now: now["generation"]["pid"] != before)
    assert inside(2)(status)
    [view] = status["pools"][0]["discovery"]
    assert (view["members"], view["source"]) == (2, "file-list")
    assert view["stale_seconds"] > 0
    assert (await balancer.ask("/", "POST", body=b"x")).status == 200
    write(path, members[:1])
    await balancer.until(inside(1))


async def test_orders_for_a_backend_that_left_are_shown_and_taken_back(
    backends: Backends, balance: Balance, directory: Path
) -> None:
    path = directory / "backends.json"
    members = await backends(_posts, _posts)
    write(path, members)
    discover = {"kind": "file", "path": str(path)}
    balancer = await balance(pool={"backends": [], "discover": discover, "check": CHECK})
    await balancer.until(inside(2))

    async def done(*arguments: str) -> str:
        code, out, err = await command(arguments[0], *arguments[1:2], "-c", str(balancer.path), *arguments[2:])
        return out if code == 0 else f"{code}: {err}"

    refused = await done("backend", "add", "connectors/c2", members[0].url)
    assert refused.startswith("1: lbproxy: error: c2 is a backend of pool connectors from file-list, at http://")
    await done("drain", "c2")
    await done("backend", "set", "connectors/c2", "--weight", "3")
    write(path, members[:1])
    await balancer.until(inside(1))
    balancer.signal(signal.SIGHUP)
    await balancer.logged("generation_ended")
    [line] = [line for line in (await done("backend", "list")).splitlines() if "c2" in line]
    assert line.startswith("pool connectors: no backend is called c2; ordered for it: draining since ")
    assert "; weight 3 since " in line
    assert await done("ready", "c2") == "no backend is called c2; one that comes gets work\n"
    assert await done("backend", "remove", "connectors/c2") == (
        "no backend is called connectors/c2; what was ordered for it is taken back\n"
    )
    assert (await balancer.status())["pools"][0]["waiting_orders"] == []
    write(path, members)
    await balancer.until(inside(2))
    assert (await balancer.backends())["c2"]["weight"] == 1


async def test_an_empty_file_of_the_start_is_a_pool_without_backends(balance: Balance, directory: Path) -> None:
    path = directory / "backends.json"
    path.write_text("[]")
    balancer = await balance(pool={"backends": [], "discover": {"kind": "file", "path": str(path)}})
    assert (await balancer.ask()).status == 503


async def _posts(lane: Lane) -> None:
    while await lane.request():
        await lane.send(answer(lane.backend.name.encode()))
