"""An address that keepalived moves between two hosts: it moves when it should, and no client notices when it need not.

The hosts are network namespaces, so all of this needs root. LBPROXY_FULL=1: 50,000 more requests while hosts
leave, one after the other; and an IPv6 address.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from .backend import Lane
from .client import request
from .virtual_address import ADDRESS6, OTHER, Clients, Replica, needs_keepalived, two_hosts

FULL = bool(os.environ.get("LBPROXY_FULL"))


def on_hosts(test: Callable[..., object]) -> Callable[..., object]:
    """Such a test needs root, and keepalived."""
    for mark in needs_keepalived:
        test = mark(test)
    return test


async def leave(replica: Replica) -> None:
    status, out, error = await replica.run("leave")
    assert status == 0, error
    assert f"not on this host any more: {replica.address}" in out


LONG = [pytest.param(1, 5_000, id=f"{number} of 10") for number in range(1, 11)] if FULL else []


@on_hosts
@pytest.mark.parametrize(("workers", "requests"), [(1, 500), (2, 300), *LONG])
async def test_a_host_that_leaves_loses_nothing(tmp_path: Path, workers: int, requests: int) -> None:
    async with two_hosts(tmp_path, workers=workers) as site, Clients(site) as clients:
        while len(clients.answered) < requests:
            await clients.more(requests // 4)
            first = await site.owner()
            await leave(first)
            assert (await site.owner()).name == OTHER[first.name]
            assert (await first.run("health"))[0] == 1
            assert (await first.run("leave", "--cancel"))[0] == 0
            assert (await first.run("health"))[0] == 0
            await first.keepalived.trusts()
            await clients.more(100)
            assert (await site.owner()).name == OTHER[first.name], "it moves when it must, and not back"


@on_hosts
@pytest.mark.skipif(not FULL, reason="it takes ten seconds")
async def test_an_ipv6_address_moves_by_adverts_over_ipv6(tmp_path: Path) -> None:
    """When its host leaves, and when the other one is cut off."""
    async with two_hosts(tmp_path, address=ADDRESS6) as site:
        first = await site.owner()
        second = site.hosts[OTHER[first.name]]
        assert f"unicast_src_ip {first.host.address6}" in first.balancer.path.with_name("keepalived.conf").read_text()
        async with Clients(site, kept=2, new=2) as clients:
            await clients.more(100)
            await leave(first)
            assert await site.owner() is second
            assert (await first.run("leave", "--cancel"))[0] == 0
            await first.keepalived.trusts()
            await clients.more(100)
        site.switch.unplug(second.name)
        await site.has_address(first)
        async with await site.connect() as client:
            assert (await client.ask("/", "POST", body=b"x")).status == 200


@on_hosts
async def test_a_listener_at_every_address_loses_nothing(tmp_path: Path) -> None:
    async with two_hosts(tmp_path, bind="0.0.0.0") as site, Clients(site) as clients:
        await clients.more(200)
        first = await site.owner()
        await leave(first)
        await clients.more(200)
        assert (await site.owner()).name == OTHER[first.name]


@on_hosts
async def test_a_request_that_takes_longer_than_the_move_is_cut_and_told(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def silent(lane: Lane) -> None:
        await lane.request()
        asked.set()
        await lane.until_closed()

    async with two_hosts(tmp_path, silent) as site:
        first = await site.owner()
        async with await site.connect() as client:
            await client.send(request("/", "GET"))
            await asked.wait()
            await leave(first)
            ends = (await first.balancer.status())["listeners"][0]["ends"]
            assert ends == {"address_gone": 1}


@on_hosts
async def test_without_another_host_the_address_stays(tmp_path: Path) -> None:
    """Health says no, and clients are served all the same, by whoever is left."""
    async with two_hosts(tmp_path) as site:
        first = await site.owner()
        second = site.hosts[OTHER[first.name]]
        await second.keepalived.stop()
        status, _, error = await first.run("leave", "--timeout", "3s")
        assert status == 1
        assert "still on this host: 10.77.0.100" in error
        assert await site.owner() is first
        async with await site.connect() as client:
            assert (await client.ask("/", "POST", body=b"x")).status == 200


@on_hosts
async def test_term_loses_nothing(tmp_path: Path) -> None:
    async with two_hosts(tmp_path) as site:
        async with Clients(site) as clients:
            await clients.more(200)
            first = await site.owner()
            first.balancer.signal(signal.SIGTERM)
            await site.owner(OTHER[first.name])
            assert await first.balancer.exited() == 0
            await clients.more(200)
        assert any(" leaving " in line and "by=TERM" in line for line in first.balancer.log)


@on_hosts
async def test_lbproxy_is_killed(tmp_path: Path) -> None:
    async with two_hosts(tmp_path) as site:
        first = await site.owner()
        async with await site.connect() as client:
            assert (await client.ask("/", "POST", body=b"x")).status == 200
        await first.balancer.kill()
        second = await site.owner(OTHER[first.name])
        async with await site.connect() as client:
            assert (await client.ask("/", "POST", body=b"x")).status == 200
        assert (await second.balancer.status())["listeners"][0]["requests"] == 1


@on_hosts
async def test_a_host_is_cut_off(tmp_path: Path) -> None:
    async with two_hosts(tmp_path) as site:
        first = await site.owner()
        second = site.hosts[OTHER[first.name]]
        site.switch.unplug(first.name)
        await site.has_address(second)  # and so has the other one, which hears no adverts
        async with await site.connect() as client:
            assert (await client.ask("/", "POST", body=b"x")).status == 200
        site.switch.plug(first.name)
        assert await site.owner(), "one of them gives it back"


@on_hosts
async def test_reloads_and_upgrades_move_nothing(tmp_path: Path) -> None:
    async with two_hosts(tmp_path) as site:
        first = await site.owner()
        # Of IPv4, as the address is: the kernel tells when it has made sure of its own IPv6 addresses.
        moves = [replica.host.inside("ip", "-4", "monitor", "address") for replica in site.hosts.values()]
        watching = [await asyncio.create_subprocess_exec(*one, stdout=asyncio.subprocess.PIPE) for one in moves]
        async with Clients(site, kept=1, new=1) as clients:
            for number in (signal.SIGHUP, signal.SIGUSR2):
                served = len([line for line in first.balancer.log if "generation_serves" in line])
                first.balancer.signal(number)
                await first.balancer.logged("generation_serves", count=served + 1)
                await clients.more(50)
        assert (await site.owner()).name == first.name
        for one in watching:
            one.terminate()
            out, _ = await one.communicate()
            assert out == b"", "an address has moved"
