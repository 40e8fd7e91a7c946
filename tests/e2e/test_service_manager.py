"""What a service manager is told and gives, over the sockets that systemd uses: sd_notify(3), sd_listen_fds(3)."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.ports import free_port

from .balancer import Balancer, running
from .configuration import configuration, toml
from .conftest import Backends
from .progress import Progress
from .starting import spawn
from .surroundings import Surroundings

Fields = dict[str, str]


class Manager:
    """The end of a service manager; `told` is what came, a dictionary for each datagram."""

    def __init__(self, address: str) -> None:
        self.told: list[Fields] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)
        self._progress = Progress()
        asyncio.get_running_loop().add_reader(self._socket, self._receive)
        self.around = Surroundings(environment={"NOTIFY_SOCKET": address.replace("\0", "@", 1)})

    async def hears(self, wanted: Callable[[Fields], bool], count: int = 1) -> Fields:
        """Wait for so many datagrams that are wanted, and return the last of them."""
        await self._progress.until(lambda: len([*filter(wanted, self.told)]) >= count)
        return [*filter(wanted, self.told)][count - 1]

    def _receive(self) -> None:
        lines = self._socket.recv(4096).decode().splitlines()
        self.told.append(dict(line.split("=", 1) for line in lines))
        self._progress.happened()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


@asynccontextmanager
async def managed(address: str) -> AsyncIterator[Manager]:
    manager = Manager(address)
    try:
        yield manager
    finally:
        manager.close()


def is_ready(fields: Fields) -> bool:
    return fields.get("READY") == "1"


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
async def test_it_hears_of_start_reload_and_end(backends: Backends, directory: Path, abstract: bool) -> None:
    [backend] = await backends()
    config = configuration(directory, [(backend.name, backend.url)])
    address = f"\0{directory}/notify" if abstract else f"{directory}/notify"
    async with managed(address) as manager, running(config, directory, around=manager.around) as balancer:
        ready = await manager.hears(is_ready)
        assert ready["STATUS"] == "serving, 1 of 1 backends in rotation"
        before = time.monotonic_ns() // 1000
        balancer.signal(signal.SIGHUP)
        reloading = await manager.hears(lambda fields: "RELOADING" in fields)
        assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
        await manager.hears(is_ready, 2)
        kinds = [fields.keys() & {"READY", "RELOADING"} for fields in manager.told]
        assert [kind.pop() for kind in kinds if kind] == ["READY", "RELOADING", "READY"]
        balancer.signal(signal.SIGTERM)
        assert await manager.hears(lambda fields: fields.get("STOPPING") == "1")
        assert await balancer.exited() == 0


async def test_it_hears_of_a_failed_reload_and_of_an_upgrade(backends: Backends, directory: Path) -> None:
    [backend] = await backends()
    config = configuration(directory, [(backend.name, backend.url)])
    async with (
        managed(f"{directory}/notify") as manager,
        running(config, directory, around=manager.around) as balancer,
    ):
        good = balancer.path.read_text()
        balancer.path.write_text("workerz = 1\n" + good)
        balancer.signal(signal.SIGHUP)
        failed = await manager.hears(lambda fields: "workerz" in fields.get("STATUS", ""))
        assert re.match("serving, 1 of 1 backends in rotation; the last reload, at .*Z, failed: ", failed["STATUS"])
        await manager.hears(is_ready, 2)
        balancer.path.write_text(good)
        balancer.signal(signal.SIGUSR2)
        ready = await manager.hears(is_ready, 3)
        assert re.fullmatch("serving, 1 of 1 backends in rotation; reloaded at .*Z", ready["STATUS"])


async def test_it_hears_how_many_backends_there_are(backends: Backends, directory: Path) -> None:
    members = await backends(*[_refuses] * 2)
    config = configuration(directory, [(each.name, each.url) for each in members])
    async with (
        managed(f"{directory}/notify") as manager,
        running(config, directory, around=manager.around) as balancer,
    ):
        await balancer.admin("/backends/c2/drain", "POST")
        await manager.hears(lambda fields: fields.get("STATUS") == "serving, 1 of 2 backends in rotation")
        await balancer.admin("/backends/c2/ready", "POST")
        await manager.hears(lambda fields: fields.get("STATUS") == "serving, 2 of 2 backends in rotation")


async def _refuses(_: object) -> None:
    """Nobody asks."""


def watched(around: Surroundings) -> Surroundings:
    """The same, by a watchdog that barks after 50 ms."""
    return around._replace(environment={**around.environment, "WATCHDOG_USEC": "50000"})


async def test_the_watchdog_is_fed_by_each_generation(backends: Backends, directory: Path) -> None:
    [backend] = await backends()
    config = configuration(directory, [(backend.name, backend.url)])
    async with (
        managed(f"{directory}/notify") as manager,
        running(config, directory, around=watched(manager.around)) as balancer,
    ):
        await manager.hears(is_ready)
        manager.told.clear()
        await manager.hears(_is_alive, 3)
        [old] = balancer.generations
        balancer.signal(signal.SIGHUP)
        await manager.hears(is_ready)
        assert balancer.pid != old
        manager.told.clear()
        await manager.hears(_is_alive, 3)


def _is_alive(fields: Fields) -> bool:
    return fields.get("WATCHDOG") == "1"


async def test_socket_activation(backends: Backends, directory: Path) -> None:
    """systemd listens, and starts lbproxy for the first client, which waits meanwhile."""
    activate = shutil.which("systemd-socket-activate")
    assert activate is not None, "tools/prepare installs it"
    [backend] = await backends()
    config = configuration(directory, [(backend.name, backend.url)])
    path, other = directory / "lbproxy.toml", f"127.0.0.1:{free_port()}"
    path.write_text(toml(config))
    passed = [f"--setenv={name}" for name in ("PYTHONPATH", "HOME") if name in os.environ]
    listening = [f"--listen={config['listener']['login']['bind']}", f"--listen={other}"]
    around = Surroundings([activate, *listening, "--fdname=login:other", *passed])
    process = await spawn("run", "-c", str(path), around=around)
    balancer = Balancer(config, path, process)
    try:
        await balancer.logged("Listening on", count=2)
        assert (await balancer.ask()).status == 200
        await balancer.logged("socket_unused", "name=other", other)
        balancer.signal(signal.SIGHUP)
        await balancer.logged("generation_serves", "generation=2")
        assert (await balancer.ask()).status == 200
        await balancer.stop()
    finally:
        await balancer.kill()
        print(*balancer.log, sep="\n")
