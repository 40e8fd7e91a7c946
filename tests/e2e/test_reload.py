"""Reloads and upgrades while users are served: nothing is lost, and nothing that lbproxy knew is forgotten."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from signal import SIGCONT, SIGHUP, SIGKILL, SIGSTOP, SIGTERM, SIGUSR1, SIGUSR2, Signals
from typing import Any

import pytest

from tests.ports import free_port

from .backend import Lane, answer
from .balancer import Balancer, command
from .client import Client, request
from .configuration import configuration
from .conftest import Backends, Balance
from .crowd import Crowd, serve_posts
from .message import Cut
from .reloads import changed, comes_true, reload, rewrite


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_no_request_is_lost_or_run_twice(backends: Backends, balance: Balance, tls: bool) -> None:
    one, two = await backends(*[serve_posts] * 2)
    balancer = await balance(one, two, tls=tls)
    async with Crowd(balancer.connect, 4, 4) as crowd:
        for number in range(3):
            members = [one] if number % 2 == 0 else [one, two]
            pool = {"backends": [{"name": each.name, "url": each.url} for each in members], "check": {"kind": "none"}}
            await rewrite(balancer, pool={"connectors": pool})
            await reload(balancer)
    ran = Counter(str(each.target) for backend in (one, two) for each in backend.complete)
    assert set(ran.values()) == {1}
    assert len(ran) == len(crowd.answered)
    counted = (await balancer.status())["listeners"][0]
    assert counted["requests"] == len(crowd.answered)


async def test_a_download_outlives_a_reload(backends: Backends, balance: Balance) -> None:
    size, reloaded = 5_000_000, asyncio.Event()

    async def big(lane: Lane) -> None:
        await lane.request()
        await lane.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, bytes(size // 2))
        await reloaded.wait()
        await lane.send(bytes(size // 2))

    balancer = await balance(*await backends(big), drain_timeout="20s")
    [old] = balancer.generations
    async with await balancer.connect() as client:
        await client.send(request())
        receiving = asyncio.ensure_future(client.digest())
        balancer.signal(SIGHUP)
        await balancer.logged("generation_serves", "generation=2")
        assert old in balancer.generations
        reloaded.set()
        assert (await receiving)[1] == size
    await changed(balancer, old)


async def test_a_bad_file_changes_nothing_and_says_why(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends())
    before = balancer.generations
    good = balancer.path.read_text()
    balancer.path.write_text("workerz = 1\n" + good)
    balancer.signal(SIGHUP)
    await balancer.logged("reload_failed", "workerz")
    admin = balancer.config["admin"]["bind"]
    code, _, err = await command("reload", "--admin", admin)
    assert code == 1
    assert "workerz" in err
    assert balancer.generations == before
    balancer.path.write_text(good)
    assert (await command("reload", "--admin", admin))[:2] == (0, "reloaded\n")
    assert balancer.generations != before
    assert (await balancer.ask()).status == 200


async def test_listeners_come_and_go(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends())
    [first] = balancer.config["listener"].values()
    port = free_port()
    second = {**first, "bind": f"127.0.0.1:{port}"}
    await rewrite(balancer, listener={"login": first, "second": second})
    await reload(balancer)
    assert (await _ask_at(port)).status == 200
    await rewrite(balancer, listener={"login": first})
    await reload(balancer)
    with pytest.raises(ConnectionRefusedError):
        await _ask_at(port)
    assert (await balancer.ask()).status == 200


async def _ask_at(port: int) -> Any:
    async with await Client.connect(("127.0.0.1", port)) as client:
        return await client.ask()


async def test_an_address_that_is_taken_leaves_the_old_ones(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends())
    [first] = balancer.config["listener"].values()
    taken = balancer.config["server_url"].rpartition(":")[2]
    await rewrite(balancer, listener={"login": first, "second": {**first, "bind": f"[::1]:{taken}"}})
    server = await asyncio.start_server(lambda *_: None, "::1", int(taken))
    async with server:
        balancer.signal(SIGHUP)
        await balancer.logged("reload_failed", "listener.second.bind")
    assert (await balancer.ask()).status == 200


async def test_health_drains_and_counters_survive(backends: Backends, balance: Balance) -> None:
    one, two, three = await backends(*[serve_posts] * 3)
    check = {"check": {"kind": "tcp", "interval": "200ms"}}
    balancer = await balance(one, two, three, pool=check)
    await two.stop()
    await balancer.logged("backend_ejected", "backend=c2")
    await balancer.admin("/backends/c3/drain", "POST")
    assert (await balancer.ask()).status == 200
    before = await balancer.backends()
    await reload(balancer)
    after = await balancer.backends()
    for key in ("state", "draining", "requests", "ejections", "reason", "detail"):
        assert {name: one[key] for name, one in before.items()} == {name: one[key] for name, one in after.items()}
    assert after["c2"]["since_seconds"] > before["c2"]["since_seconds"]
    await two.start()
    await balancer.logged("backend_readmitted", "backend=c2")


async def test_the_next_program_takes_over(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(serve_posts))
    async with Crowd(balancer.connect, 2, 2):
        for _ in range(2):
            [old] = balancer.generations
            balancer.signal(SIGUSR2)
            await changed(balancer, old)
            assert b"resume" in Path(f"/proc/{balancer.master}/cmdline").read_bytes()
    await reload(balancer)


async def test_a_generation_that_is_killed_is_replaced(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends())
    [old] = balancer.generations
    async with await balancer.connect() as client:
        assert (await client.ask()).status == 200
        os.kill(old, SIGKILL)
        with pytest.raises((Cut, ConnectionError)):
            await client.ask()
    assert (await balancer.ask()).status == 200  # it waited in the listening socket's queue
    await balancer.logged("generation_died")


async def test_what_was_served_last_is_served_again_while_the_file_is_bad(backends: Backends, balance: Balance) -> None:
    """After a death, and after one that follows an upgrade; a reload is of the file."""
    balancer = await balance(*await backends(serve_posts))
    balancer.path.write_text("workerz = 1\n" + balancer.path.read_text())
    for count in (1, 2):
        os.kill(balancer.pid, SIGKILL)
        assert "workerz" in await balancer.logged("last_good_served", count=count)
        assert (await balancer.ask()).status == 200
        seen = await balancer.until(lambda snapshot: snapshot["configuration"]["last_reload"])  # the master tells it
        last = seen["configuration"]["last_reload"]
        assert not last["ok"]
        assert "workerz" in last["problems"][0]
        balancer.signal(SIGUSR2)
        await balancer.logged("reload_failed", "workerz", count=count)
        assert (await balancer.ask()).status == 200
    await rewrite(balancer)
    await reload(balancer)
    assert (await balancer.status())["configuration"]["last_reload"]["ok"]


@pytest.mark.parametrize("end", [SIGCONT, SIGKILL], ids=["goes_on", "dies"])
async def test_a_reload_outlives_signals_and_deaths_in_its_middle(
    backends: Backends, balance: Balance, end: Signals
) -> None:
    """The old generation is asked for what it knows, and stands still; the new one's listener is bound by then."""
    balancer = await balance(*await backends(serve_posts))
    [old] = balancer.generations
    [first], port = balancer.config["listener"].values(), free_port()
    await rewrite(balancer, listener={"login": first, "second": {**first, "bind": f"127.0.0.1:{port}"}})
    os.kill(old, SIGSTOP)
    balancer.signal(SIGHUP)
    await comes_true(lambda: _is_open(port))
    balancer.signal(SIGUSR1)
    os.kill(old, end)
    await changed(balancer, old)
    assert (await _ask_at(port)).status == 200
    assert not [line for line in balancer.log if "reload_failed" in line]
    await reload(balancer)


def _is_open(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


async def test_generations_that_keep_dying_are_reported(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends())
    for count in range(1, 4):
        [old] = balancer.generations
        os.kill(old, SIGKILL)
        await balancer.logged("generation_died", count=count)
        if count < 3:
            await balancer.logged("generation_serves", count=count + 1)
    await balancer.logged("CRITICAL generations_keep_dying", "deaths=3")
    await balancer.logged("generation_serves", count=4)


async def test_without_a_master_requests_finish(backends: Backends, directory: Path) -> None:
    opened = asyncio.Event()

    async def slow(lane: Lane) -> None:
        while await lane.request():
            await opened.wait()
            await lane.send(answer(b"finished"))

    [backend] = await backends(slow)
    config = configuration(directory, [(backend.name, backend.url)], drain_timeout="20s")
    balancer = await Balancer.start(config, directory)
    async with await balancer.connect() as client, await balancer.connect() as idle:
        await client.send(request())
        await backend.until(lambda: backend.requests)
        os.kill(balancer.master, SIGKILL)
        assert await idle.rest() == b""
        with pytest.raises(ConnectionRefusedError):
            await balancer.ask()
        opened.set()
        assert (await client.response()).body == b"finished"
    assert await balancer.exited() == -SIGKILL
    assert any("master_lost" in line for line in balancer.log)
    await balancer.kill()


async def test_usr1_opens_the_access_log_again(backends: Backends, balance: Balance, directory: Path) -> None:
    path = directory / "access.log"
    balancer = await balance(*await backends())
    await rewrite(balancer, access_log={"path": str(path)})
    await reload(balancer)
    await balancer.ask("/before")
    await _has(path, "/before")
    path.rename(directory / "old.log")
    balancer.signal(SIGUSR1)
    await comes_true(path.exists)
    await balancer.ask("/after")
    await _has(path, "/after")


async def _has(path: Path, target: str) -> None:
    await comes_true(lambda: target in _targets(path))


def _targets(path: Path) -> list[Any]:
    lines: list[Mapping[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    return [line["target"] for line in lines]


async def test_a_generation_passes_signals_on(backends: Backends, balance: Balance) -> None:
    """Its process id is the one that is found first, in a list of processes: HUP reloads, and TERM stops it all."""
    balancer = await balance(*await backends(), workers=2)
    os.kill(balancer.pid, SIGHUP)
    await balancer.logged("generation_serves", "generation=2")
    assert (await balancer.ask()).status == 200
    os.kill(balancer.pid, SIGTERM)
    assert await balancer.exited() == 0
    assert not [line for line in balancer.log if "generation_died" in line]


async def test_term_for_the_whole_group_lets_requests_finish(backends: Backends, balance: Balance) -> None:
    """As a service manager may send it, to every process at once; it is not taken for the second one."""
    opened = asyncio.Event()

    async def slow(lane: Lane) -> None:
        await lane.request()
        await opened.wait()
        await lane.send(answer(b"done"))

    [backend] = await backends(slow)
    balancer = await balance(backend)
    async with await balancer.connect() as client:
        await client.send(request())
        await backend.until(lambda: backend.requests)
        for process in (balancer.pid, balancer.master):
            os.kill(process, SIGTERM)
        await balancer.logged("draining")
        opened.set()
        assert (await client.response()).body == b"done"
    assert await balancer.exited() == 0
