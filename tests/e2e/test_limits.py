"""The limits of the machine: descriptors, a full disk, logs that nobody reads. Users notice as little as can be."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from .backend import serve
from .balancer import Balancer, command, running
from .client import Client, request
from .configuration import configuration, toml
from .conftest import Backends, Balance
from .progress import DEADLINE
from .starting import spawn
from .surroundings import Surroundings

LIMIT = 96
"""Descriptors of the process: it lets 29 clients in at a time, and has as many lanes for them."""


async def test_without_descriptors_clients_wait_and_those_inside_are_served(
    backends: Backends, directory: Path
) -> None:
    [backend] = await backends()
    config = configuration(directory, [(backend.name, backend.url)])
    path = directory / "lbproxy.toml"
    path.write_text(toml(config))
    limited = Surroundings(["prlimit", f"--nofile={LIMIT}:{LIMIT}"])
    balancer = Balancer(config, path, await spawn("run", "-c", str(path), around=limited))
    clients: list[Client] = []
    try:
        await balancer.ready()
        clients = [await balancer.connect() for _ in range(LIMIT)]
        for client in clients:
            await client.send(request())
        await balancer.logged("accept_paused", "listener=login")
        inside = await _connections(balancer, at_least=29)
        answers = [asyncio.ensure_future(client.response()) for client in clients]
        while sum(answer.done() for answer in answers) < inside:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        served = [client for client, answer in zip(clients, answers, strict=True) if answer.done()]
        assert len(served) < LIMIT
        assert (await served[-1].ask("/again")).status == 200
        pauses = await _pauses(balancer)
        assert 1 <= pauses < LIMIT, "it neither spins nor tries all the time"
        # Who leaves makes room, at once.
        for client, answer in zip(clients, answers, strict=True):
            async with asyncio.timeout(DEADLINE):
                assert (await answer).status == 200
            await client.close()
        assert (await balancer.ask()).status == 200
        [member] = (await balancer.backends()).values()
        assert (member["state"], member["ejections"]) == ("up", 0)
        await balancer.stop()
    finally:
        await balancer.kill()
        print(*balancer.log, sep="\n")


async def _connections(balancer: Balancer, at_least: int) -> int:
    """How many clients were let in."""
    async with asyncio.timeout(DEADLINE):
        while (await _listener(balancer))["connections"] < at_least:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return int((await _listener(balancer))["connections"])


async def _pauses(balancer: Balancer) -> int:
    return int((await _listener(balancer))["accept_pauses"])


async def _listener(balancer: Balancer) -> dict[str, Any]:
    found: dict[str, Any] = (await balancer.status())["listeners"][0]
    return found


async def _dropped(balancer: Balancer, count: int) -> None:
    """Wait until so many lines of the access log are lost."""
    await balancer.until(lambda now: now["access_log"]["dropped"] >= count)


@pytest.fixture
def small_disk(directory: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    path = directory / "disk"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.decode().strip()}")
    yield path
    subprocess.run(["umount", path], check=True)


async def test_a_full_disk_costs_lines_and_nothing_else(backends: Backends, directory: Path, small_disk: Path) -> None:
    [backend] = await backends()
    log, ballast = small_disk / "access.log", small_disk / "ballast"
    config = configuration(directory, [(backend.name, backend.url)])
    async with running({**config, "access_log": {"path": str(log)}}, directory) as balancer:
        with ballast.open("wb", buffering=0) as file:
            while _fits(file.fileno()):
                pass
        for _ in range(30):
            assert (await balancer.ask("/full")).status == 200
        await _dropped(balancer, 30)
        assert (await balancer.ask("/full")).status == 200
        lost = await balancer.logged("access_log_lost_lines")
        assert "No space left on device" in lost
        ballast.unlink()
        assert (await balancer.ask("/room")).status == 200
    assert "/room" in [json.loads(line)["target"] for line in log.read_text().splitlines()]


def _fits(descriptor: int) -> bool:
    try:
        return os.write(descriptor, bytes(4096)) > 0
    except OSError:
        return False


async def test_a_device_that_is_always_full(backends: Backends, directory: Path) -> None:
    [backend] = await backends()
    config = configuration(directory, [(backend.name, backend.url)])
    async with running({**config, "access_log": {"path": "/dev/full"}}, directory) as balancer:
        assert (await balancer.ask()).status == 200
        await _dropped(balancer, 1)


async def test_nobody_reads_the_access_log(backends: Backends, directory: Path) -> None:
    """A pipe takes 64 KiB."""
    [backend] = await backends()
    log = directory / "access.pipe"
    os.mkfifo(log)
    config = configuration(directory, [(backend.name, backend.url)])
    async with running({**config, "access_log": {"path": str(log)}}, directory) as balancer:
        async with await balancer.connect() as client:
            for _ in range(500):
                assert (await client.ask("/unread")).status == 200
        assert (await balancer.status())["access_log"]["written"] < 500


async def test_nobody_reads_the_operational_log(backends: Backends, balance: Balance) -> None:
    """Neither the master nor a generation waits for who reads standard error, and all that they said comes later."""
    one, two = await backends(serve, serve)
    balancer = await balance(one, two)
    await balancer.logged("generation_serves")
    async with stalled(balancer):
        await two.stop()
        for _ in range(4):
            assert (await balancer.ask()).status == 200
        for _ in range(2):
            assert (await command("reload", "--admin", balancer.config["admin"]["bind"]))[0] == 0
        assert (await balancer.ask()).status == 200
        assert not [line for line in balancer.log if "backend_ejected" in line]
    await balancer.logged("backend_ejected", "backend=c2")
    await balancer.logged("generation_serves", "generation=3")


@asynccontextmanager
async def stalled(balancer: Balancer) -> AsyncIterator[None]:
    """Nobody reads the balancer's standard error, and the pipe is full."""
    reading: Any = balancer.process.stderr._transport  # type: ignore[union-attr]  # no public way
    reading.pause_reading()
    writer = os.open(f"/proc/{balancer.master}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
    try:
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"filled\n")
        yield
    finally:
        os.close(writer)
        reading.resume_reading()
