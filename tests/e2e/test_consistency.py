"""The consistency guard of the real process, over sample connectors that are real processes too."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.ports import free_port

from .balancer import Balancer, command
from .conftest import Balance
from .instance import Instance
from .starting import SAMPLE

CHECK = {"kind": "http", "path": "/healthz", "interval": "100ms", "rise": 1}
OLD, NEW = ("--version", "1.7.0"), ("--version", "1.8.0")


def connector(name: str, port: int, directory: Path, *options: str) -> Instance:
    words = [*SAMPLE, "--name", name, "--port", str(port), *options]
    return Instance(name, port, words, directory / f"{name}.log", "listening: ", {})


def state(snapshot: dict[str, Any], name: str) -> str:
    """That of the one pool's backend."""
    (found,) = [backend["state"] for backend in snapshot["pools"][0]["backends"] if backend["name"] == name]
    return str(found)


class Fleet:
    """Sample connectors c1, c2 and so on, each with options of its own."""

    def __init__(self, directory: Path, *options: tuple[str, ...]) -> None:
        self._directory = directory
        self.members = [connector(f"c{n}", free_port(), directory, *each) for n, each in enumerate(options, 1)]

    async def restart(self, balancer: Balancer, number: int, *options: str) -> None:
        """The connector of that number, from 1, with other options, after `balancer` has seen that it was away."""
        before = self.members[number - 1]
        await before.kill()
        await balancer.until(lambda snapshot: state(snapshot, before.name) == "down")
        self.members[number - 1] = connector(before.name, before.port, self._directory, *options)
        await self.members[number - 1].start()


@asynccontextmanager
async def fleet(directory: Path, *options: tuple[str, ...]) -> AsyncIterator[Fleet]:
    made = Fleet(directory, *options)
    try:
        async with asyncio.TaskGroup() as group:
            for instance in made.members:
                group.create_task(instance.start())
        yield made
    finally:
        for instance in made.members:
            await instance.kill()
            print(instance, instance.last_words)  # pytest shows it beside a failure only


def guard(policy: str, **facts: Any) -> dict[str, Any]:
    """The tables of a pool whose connectors' versions are compared, at the start and after each readmission."""
    version = {"path": "/healthz", "json": "/version"}
    return {"check": CHECK, "consistency": {"policy": policy, "interval": "1h", "facts": {"version": version, **facts}}}


async def served(balancer: Balancer, requests: int = 6) -> Counter[str]:
    """Which instance has answered how many of so many requests."""
    answers = [await balancer.ask("/users") for _ in range(requests)]
    return Counter(json.loads(answer.body)["instance"] for answer in answers)


async def test_warn_tells_which_one_differs_in_what(directory: Path, balance: Balance) -> None:
    old_address = "https://old.corp.example"
    async with fleet(directory, NEW, (*NEW, "--server-url", old_address), OLD) as three:
        pool = guard("warn", address={"metadata": True}, build={"path": "/about", "json": "/build"})
        balancer = await balance(*three.members, pool=pool)
        line = await balancer.logged("facts_differ", "fact=version")
        assert "WARNING" in line
        assert 'backends=c3 detail="version: 1.8.0 on c1, c2; 1.7.0 on c3"' in line
        line = await balancer.logged("facts_differ", "fact=address")
        url = balancer.config["server_url"]
        assert f'backends=c2 expected={url} detail="address: {url} on c1, c3; {old_address} on c2"' in line
        await balancer.logged("fact_unknown", "backend=c1", "fact=build", "the page answers with 404")

        backends = await balancer.backends()
        assert backends["c3"]["facts"] == {"version": "1.7.0", "address": url, "build": None}
        assert backends["c3"]["unknown_facts"] == {"build": "the page answers with 404"}
        assert all(backend["in_rotation"] for backend in backends.values())
        assert await served(balancer) == {"c1": 2, "c2": 2, "c3": 2}
        lines = (await balancer.admin("/metrics")).body.decode().splitlines()
        sample = 'lbproxy_backend_inconsistent{{backend="{}",fact="version",pool="connectors"}} {}'
        assert {sample.format("c1", "0.0"), sample.format("c3", "1.0")} <= set(lines)
        _, page, _ = await command("status", "-c", str(balancer.path))
        assert "c3: unlike the others: version is 1.7.0, most have 1.8.0" in page
        assert f"c2: unlike the others: address is {old_address}, expected {url}" in page

        await three.restart(balancer, 3, *NEW)
        await balancer.logged("facts_agree", "fact=version")


async def test_the_minority_is_out_until_it_is_updated(directory: Path, balance: Balance) -> None:
    async with fleet(directory, NEW, NEW, OLD) as three:
        balancer = await balance(*three.members, pool=guard("eject-minority"))
        line = await balancer.logged("backend_ejected", "backend=c3")
        assert 'reason=consistency detail="version is 1.7.0, most have 1.8.0"' in line
        assert await served(balancer) == {"c1": 3, "c2": 3}
        c3 = (await balancer.backends())["c3"]
        assert (c3["state"], c3["in_rotation"]) == ("up", False)
        assert c3["inconsistent"] == "version is 1.7.0, most have 1.8.0"

        await three.restart(balancer, 3, *OLD)
        await balancer.logged("backend_readmitted", "backend=c3", "reason=probe", count=2)
        assert await served(balancer) == {"c1": 3, "c2": 3}, "it came back as it was"

        await three.restart(balancer, 3, *NEW)
        await balancer.logged("backend_readmitted", "backend=c3", "reason=consistency")
        assert await served(balancer) == {"c1": 2, "c2": 2, "c3": 2}


async def test_nobody_is_out_on_a_tie(directory: Path, balance: Balance) -> None:
    async with fleet(directory, NEW, OLD) as two:
        balancer = await balance(*two.members, pool=guard("eject-minority"))
        line = await balancer.logged("facts_differ")
        assert 'backends=c1,c2 detail="version: 1.8.0 on c1; 1.7.0 on c2"' in line
        assert await served(balancer) == {"c1": 3, "c2": 3}


async def test_the_last_one_stays_whatever_it_is(directory: Path, balance: Balance) -> None:
    async with fleet(directory, NEW, NEW, OLD) as three:
        balancer = await balance(*three.members, pool=guard("eject-minority"))
        await balancer.logged("backend_ejected", "backend=c3")
        await three.members[0].kill()
        await balancer.logged("backend_readmitted", "backend=c3", "reason=consistency")
        assert await served(balancer, 2) == {"c2": 1, "c3": 1}, "one against one is a tie"
        await three.members[1].kill()
        await balancer.logged("backend_ejected", "backend=c2")
        assert await served(balancer, 2) == {"c3": 2}
        await three.restart(balancer, 1, *NEW)
        await balancer.logged("backend_readmitted", "backend=c1", count=2)
        assert await served(balancer, 2) == {"c1": 1, "c3": 1}


async def test_what_is_expected_is_right_but_ejects_no_majority(directory: Path, balance: Balance) -> None:
    async with fleet(directory, NEW, OLD, OLD) as three:
        pool = guard("eject-minority", version={"path": "/healthz", "json": "/version", "equal": "1.8.0"})
        balancer = await balance(*three.members, pool=pool)
        await balancer.logged("facts_differ", "backends=c2,c3", "expected=1.8.0")
        assert await served(balancer) == {"c1": 2, "c2": 2, "c3": 2}
        await three.restart(balancer, 2, *NEW)
        await balancer.logged("backend_ejected", "backend=c3", "version is 1.7.0, expected 1.8.0")
        assert await served(balancer) == {"c1": 3, "c2": 3}
