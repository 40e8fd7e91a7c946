"""One backend out of rotation and back, by `lbproxy drain`, `ready` and the admin socket, while users are served."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

from tests.ports import free_port

from .backend import Lane, answer, serve
from .balancer import Balancer, command, running
from .client import Client, request
from .configuration import configuration
from .conftest import Backends, Balance
from .test_private_lanes import binds
from .test_upgrade import WEBSOCKET, echoes
from .tokens import kerberos_token


class Gate:
    """A script that answers once it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, lane: Lane) -> None:
        while await lane.request():
            await self.opened.wait()
            await lane.send(answer(lane.backend.name.encode()))


async def answered_by(balancer: Balancer, count: int) -> Counter[bytes]:
    """Who answered `count` requests of one client connection."""
    async with await balancer.connect() as client:
        return Counter([(await client.ask()).body for _ in range(count)])


async def drain(balancer: Balancer, *arguments: str) -> tuple[int, str, str]:
    return await command("drain", "-c", str(balancer.path), *arguments)


async def ready(balancer: Balancer, *arguments: str) -> tuple[int, str, str]:
    return await command("ready", "-c", str(balancer.path), *arguments)


async def test_a_drained_backend_gets_nothing_until_it_is_ready(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(serve, serve, serve))
    assert await drain(balancer, "c2") == (0, "connectors/c2 is drained; nothing to finish\n", "")
    assert await answered_by(balancer, 10) == {b"c1": 5, b"c3": 5}
    assert await ready(balancer, "connectors/c2") == (0, "connectors/c2 is in rotation\n", "")
    assert await answered_by(balancer, 9) == {b"c1": 3, b"c2": 3, b"c3": 3}
    await balancer.logged("INFO backend_drained", "pool=connectors", "backend=c2")
    await balancer.logged("INFO backend_ready", "pool=connectors", "backend=c2")


async def test_waiting_ends_when_the_last_request_is_answered(backends: Backends, balance: Balance) -> None:
    gate = Gate()
    slow, other = await backends(gate, serve)
    balancer = await balance(slow, other)
    async with await balancer.connect() as client:
        await client.send(request())
        await slow.until(lambda: slow.requests)
        waiting = asyncio.ensure_future(drain(balancer, "c1", "--wait", "--json"))
        await balancer.logged("backend_drained", "active=1")
        assert await answered_by(balancer, 3) == {b"c2": 3}
        gate.opened.set()
        assert (await client.response()).body == b"c1"
        code, out, err = await waiting
    assert (code, err) == (0, "")
    shown = json.loads(out)
    assert (shown["pool"], shown["backend"]["draining"], shown["backend"]["active"]) == ("connectors", True, 0)


async def test_waiting_has_an_end(backends: Backends, balance: Balance) -> None:
    gate = Gate()
    slow, other = await backends(gate, serve)
    balancer = await balance(slow, other, drain_timeout="200ms")
    async with await balancer.connect() as client:
        await client.send(request())
        await slow.until(lambda: slow.requests)
        code, out, err = await drain(balancer, "c1", "--wait")
        assert (code, out) == (1, "")
        assert err == "lbproxy: error: connectors/c1 still waits after 0.2 s: 1 request to finish; it stays drained\n"
        assert (await balancer.backends())["c1"]["draining"]
        gate.opened.set()
        assert (await client.response()).body == b"c1"  # the request is not the worse for it


async def test_what_a_drained_backend_authenticated_it_finishes(backends: Backends, balance: Balance) -> None:
    """A request that leans on its connection goes where that connection goes, drained or not."""
    balancer = await balance(*await backends(binds, binds))
    async with await balancer.connect() as client:
        first = await client.ask("/", "GET", f"Authorization: Negotiate {kerberos_token('alice')}")
        name = (first.get("x-backend") or b"").decode()
        assert (await drain(balancer, name))[:2] == (0, f"connectors/{name} is drained; 1 private lane to finish\n")
        last = await client.ask()
        assert (last.body, last.closes) == (b"alice", True)
        await client.closed()
    assert (await drain(balancer, name, "--wait"))[:2] == (0, f"connectors/{name} is drained; nothing to finish\n")


async def test_a_tunnel_holds_a_drain(backends: Backends, balance: Balance) -> None:
    members = await backends(echoes, echoes)
    balancer = await balance(*members)
    async with await balancer.connect() as client:
        await client.send(request("/ws", "GET", *WEBSOCKET))
        assert (await client.head()).status == 101
        name = "c1" if members[0].requests else "c2"
        assert (await drain(balancer, name))[:2] == (0, f"connectors/{name} is drained; 1 tunnel to finish\n")
        await client.send(b"still here")
        assert await client.read(15) == b"hellostill here"
    assert (await drain(balancer, name, "--wait"))[:2] == (0, f"connectors/{name} is drained; nothing to finish\n")


async def test_the_last_one_must_be_forced(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends())
    code, _, err = await drain(balancer, "c1")
    assert (code, "c1 is the only backend of pool connectors in rotation" in err) == (1, True)
    assert (await balancer.ask()).status == 200
    assert (await drain(balancer, "c1", "--force"))[0] == 0
    assert (await balancer.ask()).status == 503
    assert (await balancer.admin("/readyz")).status == 503
    assert (await ready(balancer, "c1"))[0] == 0
    assert (await balancer.ask()).status == 200


async def test_names_that_nobody_has(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends())
    for outcome in (await drain(balancer, "c9"), await ready(balancer, "other/c1")):
        assert outcome[:2] == (1, "")
        assert "lbproxy: error: no backend is called" in outcome[2]
    assert (await balancer.ask()).status == 200


async def test_over_the_admin_socket(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(serve, serve))
    drained = await balancer.admin("/backends/c1/drain", "POST")
    assert (drained.status, json.loads(drained.body)["backend"]["in_rotation"]) == (200, False)
    assert (await balancer.admin("/backends/c1/drain")).status == 409  # to read changes nothing: a pool c1 is not there
    assert (await balancer.admin("/backends/c2/drain", "POST")).status == 409
    assert await answered_by(balancer, 2) == {b"c2": 2}
    assert (await balancer.admin("/backends/c1/ready", "POST")).status == 200
    assert json.loads((await balancer.admin("/backends/c1")).body)["backend"]["in_rotation"]


async def test_an_instance_leaves_every_pool_that_has_it(backends: Backends, directory: Path) -> None:
    """Users with form sign-in come by one pool, connections that are passed through by another."""
    members = await backends(serve, serve)
    config = configuration(directory, [(member.name, member.url) for member in members])
    passed = ("127.0.0.1", free_port())
    raw = [{"name": member.name, "url": member.url.replace("http:", "tcp:")} for member in members]
    config["listener"]["raw"] = {"bind": f"127.0.0.1:{passed[1]}", "mode": "tcp", "pool": "raw"}
    config["pool"]["raw"] = {"backends": raw, "check": {"kind": "none"}}
    async with running(config, directory) as balancer:
        async with await Client.connect(passed) as client:
            name = (await client.ask()).body.decode()
            told = f"{name} (pools connectors, raw) is drained; 1 tunnel to finish\n"
            assert await drain(balancer, name) == (0, told, "")
            other = {b"c1", b"c2"} - {name.encode()}
            assert set(await answered_by(balancer, 3)) == other
            async with await Client.connect(passed) as another:
                assert {(await another.ask()).body} == other
            code, _, err = await drain(balancer, other.pop().decode())
            assert (code, "is the only backend of pool connectors, raw in rotation" in err) == (1, True)
            waiting = asyncio.ensure_future(drain(balancer, name, "--wait"))
            assert (await client.ask()).body.decode() == name  # what was passed before still is
        assert (await waiting)[0] == 0
        assert await ready(balancer, name) == (0, f"{name} (pools connectors, raw) is in rotation\n", "")
        assert await drain(balancer, f"raw/{name}") == (0, f"raw/{name} is drained; nothing to finish\n", "")
        assert len(await answered_by(balancer, 4)) == 2
