"""Several data-path processes are one balancer: in what they serve, know and count, and when one of them dies."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from signal import SIGHUP, SIGKILL

import pytest

from tests.ports import free_port
from tests.prometheus import needs_prometheus, scraping

from .backend import Lane, answer
from .balancer import Balancer, children, command, opened
from .client import Client, request
from .configuration import configuration
from .conftest import Backends, Balance
from .crowd import Crowd, serve_posts
from .message import Cut
from .progress import DEADLINE
from .reloads import changed, comes_true, reload, rewrite
from .test_consistency import fleet, guard


def sockets(pid: int) -> int:
    """How many a process has open."""
    return sum(one.startswith("socket:") for one in opened(pid))


@asynccontextmanager
async def clients_of_all(balancer: Balancer) -> AsyncIterator[list[Client]]:
    """Kept connections, several to each worker, each used once."""
    idle = {pid: sockets(pid) for pid in balancer.workers}
    async with AsyncExitStack() as stack:
        clients: list[Client] = []
        while len(clients) < 12 or any(sockets(pid) < idle[pid] + 4 for pid in idle):
            assert len(clients) < 500
            clients.append(await stack.enter_async_context(await balancer.connect()))
            assert (await clients[-1].ask("/healthz")).status == 200
        yield clients


async def is_alive(client: Client) -> bool:
    """Whether it gets another answer."""
    try:
        return (await client.ask()).status == 200
    except (Cut, ConnectionError):
        return False


async def metric(balancer: Balancer, name: str) -> float:
    """The sum of a counter over its labels."""
    text = (await balancer.admin("/metrics")).body.decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE))


async def test_all_serve_and_are_shown_as_one(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(*[serve_posts] * 2), workers=2)
    assert len(balancer.workers) == 2
    async with clients_of_all(balancer) as clients:
        status = await balancer.status()
        [listener] = status["listeners"]
        assert (listener["connections"], listener["requests"]) == (len(clients), len(clients))
        assert sum(one["requests"] for one in (await balancer.backends()).values()) == len(clients)
        assert status["request_seconds"]["count"] == len(clients)
        assert await metric(balancer, "lbproxy_requests_total") == len(clients)
        assert len(await balancer.accessed(len(clients))) == len(clients)


@needs_prometheus
async def test_prometheus_takes_exemplars_which_the_access_log_knows(
    backends: Backends, balance: Balance, directory: Path
) -> None:
    address = f"127.0.0.1:{free_port()}"
    balancer = await balance(*await backends(serve_posts), workers=2)
    await rewrite(balancer, admin={**balancer.config["admin"], "metrics": address})
    await reload(balancer)
    assert (await balancer.ask()).status == 200
    [line] = await balancer.accessed()
    async with scraping(directory, f"127.0.0.1:{free_port()}", address) as prometheus:
        await prometheus.until("lbproxy_backend_first_byte_seconds_count > 0")
        [series] = await prometheus.exemplars("lbproxy_backend_first_byte_seconds_bucket")
        assert series["seriesLabels"]["backend"] == "c1"
        [exemplar] = series["exemplars"]
        assert exemplar["labels"] == {"request_id": line["request_id"]}
        assert 0 < float(exemplar["value"]) <= float(series["seriesLabels"]["le"])


async def test_only_its_own_connections_end_with_a_worker(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(serve_posts), workers=2)
    async with clients_of_all(balancer) as clients:
        killed, other = balancer.workers
        os.kill(killed, SIGKILL)
        alive = [await is_alive(client) for client in clients]
        assert set(alive) == {True, False}
        for _ in range(10):
            assert (await balancer.ask()).status == 200
        await balancer.logged("worker_died", f"pid={killed}", "status=-9")
        await comes_true(lambda: len(balancer.workers) == 2)
        assert other in balancer.workers
        async with clients_of_all(balancer):  # the new one has some
            pass
        assert [await is_alive(client) for client in clients] == alive


async def test_events_of_all_processes_are_in_one_list(backends: Backends, balance: Balance) -> None:
    """A worker that dies, a reload, and what the old generation and one of its workers log while they drain."""
    gate, shown = asyncio.Event(), list[tuple[str, str]]()

    async def refused(lane: Lane) -> None:
        if await lane.request():
            await gate.wait()
            await lane.send(b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n")

    async def show(name: str, process: str) -> None:
        """Those of this process, or of one whose name begins so."""
        last = 0
        while not any(one[0] == name and one[1].startswith(process) for one in shown):
            found = json.loads((await balancer.admin(f"/events?after={last}&wait=60")).body)
            shown.extend((one["name"], one["process"]) for one in found["events"])
            last = found["last"]

    [backend] = await backends(refused)
    balancer = await balance(backend, workers=2, drain_timeout="20s")
    os.kill(balancer.workers[0], SIGKILL)
    await show("generation_serves", "master")
    await show("worker_died", "generation 1")
    async with await balancer.connect() as client:
        await client.send(request())
        await backend.until(lambda: backend.requests)
        balancer.signal(SIGHUP)
        await show("draining", "generation 1")
        gate.set()
        assert (await client.response()).status == 502
    await show("response_refused", "generation 1 worker ")
    await show("generation_ended", "master")
    shown.clear()
    await show("generation_ended", "master")
    assert shown.count(("reloading", "master")) == 1
    assert shown.count(("worker_died", "generation 1")) == 1
    assert shown.count(("draining", "generation 1")) == 1


async def test_new_connections_go_on_while_workers_die(backends: Backends, balance: Balance) -> None:
    """All at once, so that for a moment nobody accepts: who connects then waits in the listening socket's queue."""
    balancer = await balance(*await backends(serve_posts), workers=2)
    before = balancer.workers
    for pid in before:
        os.kill(pid, SIGKILL)
    for _ in range(10):
        assert (await balancer.ask()).status == 200
    await comes_true(lambda: len(balancer.workers) == 2 and not set(before) & set(balancer.workers))


async def test_what_was_counted_outlives_workers_and_reloads(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(serve_posts), workers=2)

    async def asked() -> list[float]:
        for _ in range(6):
            await balancer.ask()
        [listener] = (await balancer.status())["listeners"]
        [backend] = (await balancer.backends()).values()
        return [listener["requests"], backend["requests"], await metric(balancer, "lbproxy_requests_total")]

    assert await asked() == [6, 6, 6]
    os.kill(balancer.workers[0], SIGKILL)  # it was asked a moment ago what it had counted
    await balancer.logged("worker_died")
    assert await asked() == [12, 12, 12]
    for number, workers in enumerate((1, 2), 3):
        await rewrite(balancer, workers=workers)
        await reload(balancer)
        assert len(balancer.workers) == (0 if workers == 1 else workers)
        assert await asked() == [6 * number] * 3


async def test_no_request_is_lost_as_workers_come_and_go(backends: Backends, balance: Balance) -> None:
    [backend] = await backends(serve_posts)
    balancer = await balance(backend, workers=2)
    async with Crowd(balancer.connect, 4, 4) as crowd:
        for workers in (3, 1, 2):
            await rewrite(balancer, workers=workers)
            await reload(balancer)
    assert len({request.target for request in backend.complete}) == len(backend.complete) == len(crowd.answered)


async def test_an_ejection_by_one_is_known_to_all(backends: Backends, balance: Balance) -> None:
    one, two = await backends(serve_posts, serve_posts)
    balancer = await balance(one, two, workers=2, pool={"check": {"kind": "tcp", "interval": "1s"}})
    async with clients_of_all(balancer) as clients:
        await two.stop()
        await balancer.logged("backend_ejected", "backend=c2")
        assert (await balancer.backends())["c2"]["ejections"] == 1
        failures = (await balancer.backends())["c2"]["connect_failures"]
        assert all([await is_alive(client) for client in clients])
        assert (await balancer.backends())["c2"]["connect_failures"] == failures
        await two.start()
        await balancer.logged("backend_readmitted", "backend=c2", count=2)
        await balancer.backends()  # each worker has heard of it, as it tells its counts
        for client in clients:
            await client.ask("/again")
        assert "/again" in {str(each.target, "ascii") for each in two.requests}


async def test_drains_reach_all(backends: Backends, balance: Balance) -> None:
    one, two = await backends(serve_posts, serve_posts)
    balancer = await balance(one, two, workers=2)
    admin = balancer.config["admin"]["bind"]
    async with clients_of_all(balancer) as clients:
        assert (await command("drain", "c2", "--admin", admin))[0] == 0
        for client in clients:
            await client.ask("/drained")
        assert b"/drained" not in {each.target for each in two.requests}
        assert (await command("ready", "c2", "--admin", admin))[0] == 0
        for client in clients:
            await client.ask("/ready")
        assert b"/ready" in {each.target for each in two.requests}


async def test_who_is_waited_for_is_counted_in_all(backends: Backends, balance: Balance) -> None:
    """`drain --wait` must see a request that another process began a moment ago."""
    gate = asyncio.Event()

    async def slow(lane: Lane) -> None:
        while await lane.request():
            await gate.wait()
            await lane.send(answer(b"finished"))

    one, two = await backends(serve_posts, slow)
    balancer = await balance(one, two, workers=2)
    async with await balancer.connect() as client:
        await client.send(request())
        await one.until(lambda: one.requests or two.requests)
        if one.requests:
            await client.response()
            await client.send(request())
        await two.until(lambda: two.requests)
        drained = (await balancer.admin("/backends/c2/drain", "POST")).body
        assert b'"active": 1' in drained
        gate.set()
        assert (await client.response()).status == 200
    assert b'"active": 0' in (await balancer.admin("/backends/c2")).body


async def test_an_inconsistent_one_is_kept_out_by_all(balance: Balance, directory: Path) -> None:
    async with fleet(directory, *[("--version", "1.7.0")] * 2, ("--version", "1.8.0")) as instances:
        balancer = await balance(*instances.members, workers=2, pool=guard("eject-minority"))
        await balancer.logged("backend_ejected", "backend=c3", "reason=consistency")
        await balancer.backends()  # each worker has told its counts: after it heard of that
        async with clients_of_all(balancer) as clients:
            counted = {name: one["requests"] for name, one in (await balancer.backends()).items()}
            assert counted["c3"] == 0
            assert sum(counted.values()) == len(clients)


async def test_workers_outlive_their_generation(backends: Backends, balance: Balance) -> None:
    """As when it was replaced: who is connected is served, and the workers end when nobody is.

    Until then no drain is finished, for what they have is not known.
    """
    balancer = await balance(*await backends(serve_posts), workers=2, drain_timeout="200s")
    old, workers = balancer.pid, balancer.workers
    async with clients_of_all(balancer) as clients:
        os.kill(old, SIGKILL)
        await balancer.logged("generation_serves", "generation=2")
        assert (await balancer.ask()).status == 200
        assert b'"killed_generations": 1' in (await balancer.admin("/backends/c1")).body
        await reload(balancer)
        assert b'"killed_generations": 1' in (await balancer.admin("/backends/c1")).body
        assert all([await is_alive(client) for client in clients])
    await comes_true(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    async with asyncio.timeout(DEADLINE):
        while b'"killed_generations": 0' not in (await balancer.admin("/backends/c1")).body:
            pass


async def test_a_generation_without_its_forker_is_replaced(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(serve_posts), workers=2)
    old = balancer.pid
    async with clients_of_all(balancer) as clients:
        [forker] = children(old)
        os.kill(forker, SIGKILL)
        await balancer.logged("forker_lost")
        assert all([await is_alive(client) for client in clients])
    await changed(balancer, old)
    assert len(balancer.workers) == 2


async def test_without_its_forker_it_serves_until_it_can_be_replaced(backends: Backends, balance: Balance) -> None:
    balancer = await balance(*await backends(serve_posts), workers=2)
    old, good = balancer.pid, balancer.path.read_text()
    balancer.path.write_text("workerz = 1\n" + good)
    async with clients_of_all(balancer) as clients:
        os.kill(children(old)[0], SIGKILL)
        await balancer.logged("reload_failed", "workerz")
        assert all([await is_alive(client) for client in clients])
        assert (await balancer.ask()).status == 200
        balancer.path.write_text(good)
    await changed(balancer, old)


async def test_an_address_that_is_given_up_can_be_had_again_at_once(backends: Backends, balance: Balance) -> None:
    """Nobody who drains has it open."""
    gate = asyncio.Event()

    async def slow(lane: Lane) -> None:
        while await lane.request():
            await gate.wait()
            await lane.send(answer(b"finished"))

    balancer = await balance(*await backends(slow), workers=2, drain_timeout="20s")
    admin, port = balancer.config["admin"], free_port()
    await rewrite(balancer, admin={**admin, "health": f"127.0.0.1:{port}"})
    await reload(balancer)
    async with await balancer.connect() as client:
        await client.send(request())
        for config in (admin, {**admin, "health": f"127.0.0.1:{port}"}):
            await rewrite(balancer, admin=config)
            code, _, err = await command("reload", "--admin", admin["bind"])
            assert (code, err) == (0, "")
        gate.set()
        assert (await client.response()).status == 200


async def test_nobody_is_left_behind(backends: Backends, directory: Path) -> None:
    """Whatever way a generation ends, its forker and its workers end too."""
    [backend] = await backends(serve_posts)
    config = configuration(directory, [(backend.name, backend.url)], workers=2, drain_timeout="200ms")
    balancer = await Balancer.start(config, directory)
    families = [[balancer.pid, *children(balancer.pid), *balancer.workers]]
    await reload(balancer)
    families.append([balancer.pid, *children(balancer.pid), *balancer.workers])
    os.kill(balancer.pid, SIGKILL)
    await balancer.logged("generation_serves", "generation=3")
    families.append([balancer.pid, *children(balancer.pid), *balancer.workers])
    os.kill(balancer.master, SIGKILL)
    assert await balancer.exited() == -SIGKILL
    everybody = {pid for family in families for pid in family}
    assert len(everybody) == 12
    await comes_true(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in everybody))
    balancer.check()


@pytest.mark.parametrize("workers", [1, 2])
async def test_long_downloads_outlive_a_change_of_workers(backends: Backends, balance: Balance, workers: int) -> None:
    size, reloaded = 2_000_000, asyncio.Event()

    async def big(lane: Lane) -> None:
        await lane.request()
        await lane.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, bytes(size // 2))
        await reloaded.wait()
        await lane.send(bytes(size // 2))

    balancer = await balance(*await backends(big), workers=workers, drain_timeout="20s")
    async with await balancer.connect() as client:
        await client.send(request())
        receiving = asyncio.ensure_future(client.digest())
        await rewrite(balancer, workers=3 - workers)
        old = balancer.pid
        assert (await command("reload", "--admin", balancer.config["admin"]["bind"]))[0] == 0
        reloaded.set()
        assert (await receiving)[1] == size
    await changed(balancer, old)
