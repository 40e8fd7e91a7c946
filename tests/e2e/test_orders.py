"""Backends that come, change and go while users are served: `lbproxy backend`, reloads, an upgrade, workers."""

from __future__ import annotations

import asyncio
import os
import pwd
import tomllib
from collections import Counter
from pathlib import Path
from signal import SIGUSR2
from typing import Any

import pytest

from tests.ports import free_port

from .backend import ScriptedBackend, serve
from .balancer import Balancer, command, running
from .configuration import configuration
from .conftest import Backends, Balance
from .crowd import Crowd, serve_posts
from .reloads import changed, reload, rewrite

ME = pwd.getpwuid(os.getuid()).pw_name


async def order(balancer: Balancer, verb: str, *arguments: str) -> str:
    """`lbproxy backend VERB`, which is carried out; what it printed."""
    code, out, err = await command("backend", verb, "-c", str(balancer.path), *arguments)
    assert (code, err) == (0, "")
    return out


async def refused(balancer: Balancer, verb: str, *arguments: str) -> str:
    """The same, which is refused; why."""
    code, out, err = await command("backend", verb, "-c", str(balancer.path), *arguments)
    assert (code, out) == (1, "")
    return err.removeprefix("lbproxy: error: ").rstrip("\n")


async def answered_by(balancer: Balancer, count: int) -> Counter[bytes]:
    """Which backends answered `count` requests of one client connection."""
    async with await balancer.connect() as client:
        return Counter([(await client.ask()).body for _ in range(count)])


async def asked(backend: ScriptedBackend, more: int) -> None:
    """Wait until it has got so many more requests."""
    goal = len(backend.requests) + more
    await backend.until(lambda: len(backend.requests) >= goal)


async def in_rotation(balancer: Balancer, *names: str) -> dict[str, Any]:
    """Wait until exactly these are, and return all of the pool's by name."""
    snapshot = await balancer.until(
        lambda view: {one["name"] for one in view["pools"][0]["backends"] if one["in_rotation"]} == set(names)
    )
    return {one["name"]: one for one in snapshot["pools"][0]["backends"]}


@pytest.mark.parametrize("workers", [1, 2])
async def test_backends_come_and_go_under_load(backends: Backends, balance: Balance, workers: int) -> None:
    first, second = await backends(serve_posts, serve_posts)
    balancer = await balance(first, workers=workers)
    async with Crowd(balancer.connect, kept=3, new=2) as crowd:
        for _ in range(3):
            await order(balancer, "add", "connectors/c2", second.url)
            await asked(second, 10)
            await order(balancer, "remove", "connectors/c2")
            assert (await balancer.backends()).keys() == {"c1"}
    assert len(crowd.answered) == len(set(crowd.answered)) > 30
    assert len(crowd.answered) == len(first.requests) + len(second.requests), "each was answered by one backend"
    await balancer.logged("INFO backend_added", "backend=c2", f"by={ME}", count=3)
    await balancer.logged("INFO backend_removed", "backend=c2", f"by={ME}", count=3)


@pytest.mark.parametrize("workers", [1, 2])
async def test_orders_survive_reload_and_upgrade(backends: Backends, balance: Balance, workers: int) -> None:
    one, two, three = await backends(serve, serve, serve)
    balancer = await balance(one, two, workers=workers)
    await order(balancer, "add", "connectors/c3", three.url, "--weight", "2")
    await order(balancer, "set", "connectors/c1", "--weight", "3")
    assert (await command("drain", "-c", str(balancer.path), "c2"))[0] == 0
    before = await in_rotation(balancer, "c1", "c3")
    assert before["c3"]["added"]["by"] == before["c1"]["ordered"]["weight"]["by"] == ME
    assert before["c2"]["ordered"]["drain"]["by"] == ME
    kept = ("url", "state", "weight", "standby", "source", "draining", "added", "ordered")
    await reload(balancer)
    after = await in_rotation(balancer, "c1", "c3")
    [old] = balancer.generations
    balancer.signal(SIGUSR2)
    await changed(balancer, old)
    upgraded = await in_rotation(balancer, "c1", "c3")
    for view in (after, upgraded):
        assert {name: [one[key] for key in kept] for name, one in view.items()} == {
            name: [one[key] for key in kept] for name, one in before.items()
        }
    assert await answered_by(balancer, 10) == {b"c1": 6, b"c3": 4}
    await order(balancer, "remove", "connectors/c3")
    await order(balancer, "set", "connectors/c1", "--undo")
    await reload(balancer)
    assert (await in_rotation(balancer, "c1"))["c1"]["weight"] == 1


async def test_what_the_new_file_has_wins(backends: Backends, balance: Balance) -> None:
    one, two, three = await backends(serve, serve, serve)
    balancer = await balance(one)
    await order(balancer, "add", "connectors/c2", two.url, "--weight", "9")
    await order(balancer, "add", "connectors/c3", three.url)
    await in_rotation(balancer, "c1", "c2", "c3")
    lasting = tomllib.loads(await order(balancer, "list", "--toml"))["pool"]["connectors"]["backends"]
    assert lasting == [
        {"name": "c1", "url": one.url}, {"name": "c2", "url": two.url, "weight": 9}, {"name": "c3", "url": three.url},
    ]  # fmt: skip
    pool = balancer.config["pool"]["connectors"]
    lasting[1] |= {"url": three.url, "weight": 4}
    await rewrite(balancer, pool={"connectors": pool | {"backends": lasting[:2], "max_backends": 2}})
    await reload(balancer)
    after = await in_rotation(balancer, "c1", "c2")
    assert (after["c2"]["url"], after["c2"]["weight"], after["c2"]["source"]) == (three.url, 4, "file")
    await balancer.logged("WARNING backend_left_out", "c2: the configuration file has it")
    await balancer.logged("WARNING backend_left_out", "c3: the pool has max_backends (2) already")


async def test_what_is_ordered_while_the_next_generation_starts_reaches_it(
    backends: Backends, balance: Balance
) -> None:
    """It waits for the first probe of a backend that is new in the file, and that does not answer yet."""
    probed, answer = asyncio.Event(), asyncio.Event()

    async def slow(lane: Any) -> None:
        while await lane.request():
            probed.set()
            await answer.wait()
            await lane.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    one, late, more = await backends(serve, slow, serve)
    check = {"kind": "http", "path": "/", "expect": [200], "interval": "60s", "timeout": "20s"}
    balancer = await balance(one, pool={"check": check})
    await in_rotation(balancer, "c1")
    pool = balancer.config["pool"]["connectors"]
    entries = [*pool["backends"], {"name": "c2", "url": late.url}]
    await rewrite(balancer, pool={"connectors": pool | {"backends": entries}})
    reloading = asyncio.ensure_future(reload(balancer))
    await probed.wait()
    await order(balancer, "add", "connectors/c3", more.url)
    await order(balancer, "set", "connectors/c1", "--weight", "5")
    answer.set()
    await reloading
    after = await in_rotation(balancer, "c1", "c2", "c3")
    assert (after["c1"]["weight"], after["c3"]["source"], after["c3"]["added"]["by"]) == (5, "operator", ME)


async def test_refusals(backends: Backends, balance: Balance) -> None:
    one, two = await backends(serve, serve)
    balancer = await balance(one, pool={"max_backends": 2})
    listener = f"http://127.0.0.1:{balancer.address[1]}"
    assert await refused(balancer, "add", "mac/c2", two.url) == "there is no pool mac; there is connectors"
    assert "in the configuration file: lbproxy backend set" in await refused(balancer, "add", "connectors/c1", two.url)
    assert "own listener.login" in await refused(balancer, "add", "connectors/c2", listener)
    assert "it has a slash" in await refused(balancer, "add", "connectors/c/2", two.url)
    assert "weight is 101, it must be 0 to 100" in await refused(
        balancer, "add", "connectors/c2", two.url, "--weight", "101"
    )
    assert "is in the configuration file: take it out there" in await refused(balancer, "remove", "connectors/c1")
    await order(balancer, "add", "connectors/c2", two.url)
    assert "max_backends (2) already" in await refused(balancer, "add", "connectors/c3", two.url)
    await in_rotation(balancer, "c1", "c2")
    assert (await command("drain", "-c", str(balancer.path), "c1"))[0] == 0
    assert "is the only backend of pool connectors in rotation" in await refused(balancer, "remove", "connectors/c2")
    assert "is the only backend" in await refused(balancer, "set", "connectors/c2", "--weight", "0")
    assert await answered_by(balancer, 2) == {b"c2": 2}
    await order(balancer, "remove", "connectors/c2", "--force")
    await in_rotation(balancer)


async def test_a_standby_waits(backends: Backends, balance: Balance) -> None:
    one, two = await backends(serve, serve)
    balancer = await balance(one)
    await order(balancer, "add", "connectors/c2", two.url, "--standby")
    await balancer.until(lambda view: view["pools"][0]["backends"][1]["state"] == "up")
    assert await answered_by(balancer, 4) == {b"c1": 4}
    code, out, _ = await command("status", "-c", str(balancer.path))
    assert (code, "up, standby, waits" in out, "c2: added at " in out) == (0, True, True)
    assert (await command("drain", "-c", str(balancer.path), "c1"))[0] == 0, "the standby takes its place"
    assert await answered_by(balancer, 4) == {b"c2": 4}


async def test_on_a_loopback_address_it_is_the_admin(backends: Backends, directory: Path) -> None:
    one, two = await backends(serve, serve)
    config = configuration(directory, [("c1", one.url)])
    config["admin"] = {"bind": f"127.0.0.1:{free_port()}"}
    async with running(config, directory) as balancer:
        await order(balancer, "add", "connectors/c2", two.url)
        await balancer.logged("INFO backend_added", "backend=c2", "by=admin")
