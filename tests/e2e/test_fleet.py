"""Several balancers of one fleet, with a real etcd."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from signal import SIGCONT, SIGHUP, SIGKILL, SIGSTOP, Signals
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from lbproxy.control.etcd import Access, Etcd
from tests.control.probes.kerberos.peers import clock
from tests.etcd_server import node
from tests.patience import within

from .backend import Lane, ScriptedBackend, answer, serve
from .balancer import Balancer, command, descendants
from .configuration import configuration
from .conftest import Backends
from .starting import lbproxy
from .surroundings import PLAIN, Surroundings
from .test_rollout import Connector, Operator, Users, commanded, roll_out

Fleet = Callable[..., Awaitable[Balancer]]

DRAINED = "connectors/c1 is drained; nothing to finish\n"


@pytest.fixture
def fleet_name() -> str:
    return uuid4().hex


@pytest_asyncio.fixture(loop_scope="session")
async def replica(directory: Path, etcd_url: str, fleet_name: str, backends: Backends) -> AsyncIterator[Fleet]:
    """Starts a balancer of the test's fleet, by its name. One that a test has killed need not end well."""
    started: list[Balancer] = []

    async def start(
        name: str, *members: ScriptedBackend, etcd: str = etcd_url, around: Surroundings = PLAIN, **changes: Any
    ) -> Balancer:
        folder = directory / name
        folder.mkdir()
        urls = [(member.name, member.url) for member in members]
        own = {"name": fleet_name, "replica": name, "etcd": [etcd], "lease": "2s"}
        config = configuration(folder, urls, **{"server_url": "http://login.test", "fleet": own, **changes})
        started.append(await Balancer.start(config, folder, around))
        return started[-1]

    try:
        yield start
        for balancer in started:
            if balancer.process.returncode is None:
                await balancer.stop()
    finally:
        for balancer in started:
            await balancer.kill()
            print(*balancer.log, sep="\n")


async def in_fleet(balancer: Balancer, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """What it knows of its fleet, when that is so."""
    snapshot = await balancer.until(lambda seen: condition(seen["fleet"]))
    found: dict[str, Any] = snapshot["fleet"]
    return found


def named(fleet: dict[str, Any], name: str) -> dict[str, Any]:
    """The replica, empty if it is not known."""
    return next((one for one in fleet["replicas"] if one["name"] == name), {})


async def told(*arguments: str) -> str:
    """What a command prints that goes well."""
    code, out, err = await command(*arguments)
    assert (code, err) == (0, "")
    return out


@pytest.mark.parametrize("workers", [1, 2])
async def test_replicas_know_each_other(backends: Backends, replica: Fleet, workers: int) -> None:
    [backend] = await backends(serve)
    one = await replica("lb1", backend, workers=workers)
    other = await replica("lb2", backend, workers=workers)
    for balancer in (one, other):
        await in_fleet(balancer, lambda fleet: len(fleet["replicas"]) == 2)
    view = json.loads(await told("fleet", "-c", str(one.path), "--json"))
    assert [(each["name"], each["this"], each["differs"]) for each in view["replicas"]] == [
        ("lb1", True, []),
        ("lb2", False, []),
    ]
    assert "member; 2 replicas" in await told("fleet", "-c", str(other.path))
    await other.stop()
    await in_fleet(one, lambda fleet: len(fleet["replicas"]) == 1)


async def test_a_killed_one_is_missed_and_a_reloaded_one_is_not(backends: Backends, replica: Fleet) -> None:
    [backend] = await backends(serve)
    one, other = await replica("lb1", backend), await replica("lb2", backend)
    before = named(await in_fleet(one, lambda fleet: named(fleet, "lb2")), "lb2")
    other.path.write_text(other.path.read_text().replace('"2s"', '"3s"', 1))
    other.signal(SIGHUP)
    after = named(await in_fleet(one, lambda fleet: named(fleet, "lb2")["differs"]), "lb2")
    assert (after["since"], after["gone"]) == (before["since"], None)
    assert [each["what"] for each in after["differs"]] == ["configuration"]
    await other.kill()
    await in_fleet(one, lambda fleet: named(fleet, "lb2")["gone"])
    assert not [line for line in [*one.log, *other.log] if "fleet_name" in line]


async def test_a_name_that_another_one_has(backends: Backends, replica: Fleet, directory: Path) -> None:
    [backend] = await backends(serve)
    one = await replica("lb1", backend)
    other = await replica("twin", backend, fleet={**one.config["fleet"]})
    await other.logged("fleet_name_held")
    assert (await in_fleet(other, lambda fleet: True))["membership"] == "name taken"
    assert (await other.ask()).status == 200
    await other.logged("ERROR fleet_name_taken")
    await one.stop()
    await in_fleet(other, lambda fleet: fleet["membership"] == "member")


async def test_it_starts_and_serves_without_etcd(backends: Backends, replica: Fleet, tmp_path: Path) -> None:
    [backend] = await backends(serve)
    with node(tmp_path) as etcd:
        etcd.kill()
        balancer = await replica("lb1", backend, etcd=etcd.url)
        assert (await balancer.ask()).status == 200
        assert (await balancer.admin("/readyz")).status == 200
        await balancer.logged("ERROR fleet_unreachable")
        assert "etcd out of reach for" in await told("status", "-c", str(balancer.path))
        await asyncio.to_thread(etcd.start)
        await balancer.logged("INFO fleet_reached")
        await in_fleet(balancer, lambda fleet: fleet["membership"] == "member")
        await asyncio.to_thread(etcd.kill)
        await balancer.logged("ERROR fleet_unreachable", count=2)
        assert (await balancer.ask()).status == 200
        assert (await balancer.admin("/readyz")).status == 200
        await balancer.stop()


async def drained(balancer: Balancer, *names: str) -> dict[str, Any]:
    """Its status, when exactly these backends are drained."""
    return await balancer.until(
        lambda seen: {one["name"] for one in seen["pools"][0]["backends"] if one["draining"]} == set(names)
    )


@pytest.mark.parametrize("workers", [1, 2])
async def test_an_order_holds_on_all_and_survives_restarts_of_all(
    backends: Backends, replica: Fleet, workers: int
) -> None:
    first, second, third = await backends(serve, serve, serve)
    balancers = [await replica(f"lb{n}", first, second, workers=workers) for n in (1, 2)]
    assert await told("drain", "-c", str(balancers[0].path), "c1") == "connectors/c1 is drained; nothing to finish\n"
    await told("backend", "add", "-c", str(balancers[1].path), "connectors/c9", third.url, "--weight", "3")
    await told("backend", "set", "-c", str(balancers[0].path), "connectors/c2", "--weight", "2")
    for balancer in balancers:
        await drained(balancer, "c1")
        await balancer.until(lambda seen: len(seen["pools"][0]["backends"]) == 3)
    for balancer in balancers:
        await balancer.stop()
    again = [await Balancer.start(one.config, one.path.parent) for one in balancers]
    try:
        for balancer in again:
            snapshot = await drained(balancer, "c1")
            weights = {one["name"]: one["weight"] for one in snapshot["pools"][0]["backends"]}
            assert weights == {"c1": 1, "c2": 2, "c9": 3}
            assert "c1" not in {(await balancer.ask()).body.decode() for _ in range(4)}
        text = await told("fleet", "-c", str(again[0].path))
        assert "connectors/c1: drained, " in text
        await told("ready", "-c", str(again[1].path), "c1")
        await drained(again[0])
    finally:
        for balancer in again:
            await balancer.kill()


@pytest.mark.parametrize("offset", ["-1d", "+1d"] if os.environ.get("LBPROXY_FULL") else ["-1d"])
async def test_a_replica_with_a_wrong_clock_neither_wins_nor_loses(
    backends: Backends, replica: Fleet, offset: str
) -> None:
    """An order is later than those that were heard of before it, and who gives it is waited for like any other."""
    members = await backends(serve, serve)
    one = await replica("lb1", *members)
    other = await replica("lb2", *members, around=Surroundings(environment=clock(offset)))
    for balancer in (one, other):
        fleet = await in_fleet(balancer, lambda fleet: len(fleet["replicas"]) == 2)
        assert abs(named(fleet, "lb1")["since"] - named(fleet, "lb2")["since"]) > 80_000, "the clock is wrong"
    for giver in (one, other, one):
        assert await told("drain", "-c", str(giver.path), "c1", "--wait", "--timeout", "30s") == DRAINED
        for balancer in (one, other):
            await drained(balancer, "c1")
        away = other if giver is one else one
        await told("ready", "-c", str(away.path), "c1")
        for balancer in (one, other):
            await drained(balancer)
    assert not [line for line in [*one.log, *other.log] if "fleet_order_superseded" in line or "dropped" in line]


async def waits(balancer: Balancer) -> dict[str, Any]:
    """What the order for the first backend waits for elsewhere."""
    found: dict[str, Any] = json.loads((await balancer.admin("/backends/c1")).body)["fleet"]
    return found


@pytest.mark.parametrize(
    ("number", "what"),
    [(None, "1 request"), (SIGHUP, "1 request"), (SIGKILL, "what workers of a killed generation have")],
    ids=["serves", "reloaded", "killed"],
)
async def test_drain_waits_for_what_another_replica_has(
    backends: Backends, replica: Fleet, number: Signals | None, what: str
) -> None:
    """Also if a generation of it has that which drains, or workers whose generation was killed."""
    go_on = asyncio.Event()

    async def slow(lane: Lane) -> None:
        await lane.request()
        await go_on.wait()
        await lane.send(answer(b"late"))

    first, second = await backends(slow, serve)
    one = await replica("lb1", first, second)
    # What the generation before has open is cut after that: it has to be there until the order is.
    other = await replica("lb2", first, second, workers=1 if number is None else 2, drain_timeout="60s")
    await in_fleet(one, lambda fleet: len(fleet["replicas"]) == 2)
    asked = asyncio.ensure_future(other.ask())
    await first.until(lambda: first.requests)
    if number is not None:
        os.kill(other.master if number is SIGHUP else other.pid, number)
        await other.logged("generation_serves", count=2)
    waiting = asyncio.ensure_future(command("drain", "-c", str(one.path), "c1", "--wait", "--timeout", "30s"))
    async with within("lb2 says what is to finish"):
        while not any(it["what"] == f"{what} to finish" for it in (await waits(one))["replicas"]):
            pass
    assert not waiting.done()
    go_on.set()
    assert (await asked).body == b"late"
    assert (await waiting)[:2] == (0, DRAINED)


async def test_a_dead_replica_is_named_and_not_waited_for(backends: Backends, replica: Fleet) -> None:
    first, second = await backends(serve, serve)
    one, other = await replica("lb1", first, second), await replica("lb2", first, second)
    await in_fleet(one, lambda fleet: len(fleet["replicas"]) == 2)
    for pid in [other.master, *descendants(other.master)]:
        os.kill(pid, SIGSTOP)
    try:
        code, out, _ = await command("drain", "-c", str(one.path), "c1", "--wait", "--timeout", "30s")
        assert (code, out.splitlines()[1:]) == (0, ["lb2: not waited for, since the lease has ended"])
    finally:
        for pid in [other.master, *descendants(other.master)]:
            os.kill(pid, SIGCONT)
    await drained(other, "c1")


async def test_orders_while_etcd_is_gone(backends: Backends, replica: Fleet, tmp_path: Path) -> None:
    """Each side gives orders; when etcd is back the newest counts on both, and the side that lost says so."""
    first, second, third = await backends(serve, serve, serve)
    with node(tmp_path) as etcd:
        one = await replica("lb1", first, second, third, etcd=etcd.url)
        other = await replica("lb2", first, second, third, etcd=etcd.url)
        await in_fleet(one, lambda fleet: len(fleet["replicas"]) == 2)
        await asyncio.to_thread(etcd.kill)
        out = await told("drain", "-c", str(one.path), "c1")
        assert out.splitlines()[1].startswith("applied here only: ")
        await told("backend", "set", "-c", str(one.path), "connectors/c2", "--weight", "2")
        await told("drain", "-c", str(other.path), "c3")
        await told("backend", "set", "-c", str(other.path), "connectors/c2", "--weight", "4")
        await drained(one, "c1")
        await drained(other, "c3")
        assert "applied here only: " in await told("fleet", "-c", str(one.path))
        await one.logged("ERROR fleet_unreachable")
        assert {(await one.ask()).status, (await other.ask()).status} == {200}
        await asyncio.to_thread(etcd.start)
        for balancer in (one, other):
            snapshot = await drained(balancer, "c1", "c3")
            await balancer.until(lambda seen: seen["pools"][0]["backends"][1]["weight"] == 4)
            await in_fleet(balancer, lambda fleet: not any(order["here_only"] for order in fleet["orders"]))
            assert snapshot["fleet"]["unreachable_since"] is None
        await one.logged("WARNING fleet_order_superseded", "field=weight", "here=2", "now=4", "replica=lb2")
        await other.logged("INFO fleet_order_applied", "backend=c1", "drain=True")
        await one.stop()
        await other.stop()


async def test_orders_that_a_newer_version_gave_are_left_alone(
    backends: Backends, replica: Fleet, etcd_url: str, fleet_name: str
) -> None:
    first, second = await backends(serve, serve)
    etcd = Etcd(Access((etcd_url,)))
    key = f"/lbproxy/{fleet_name}/orders/connectors/c1"
    await etcd.put(key, b'{"format":2}')
    balancer = await replica("lb1", first, second)
    assert key in (await in_fleet(balancer, lambda fleet: fleet["ignored"]))["ignored"]
    out = await told("drain", "-c", str(balancer.path), "c1")
    assert out.splitlines()[1] == "applied here only: etcd has orders for it that a newer lbproxy has written"
    found = await etcd.get(key)
    assert found is not None
    assert found.value == b'{"format":2}'
    await etcd.close()


CHECK = {"kind": "http", "path": "/healthz", "interval": "100ms", "rise": 1}


async def test_a_rollout_waits_for_all_replicas_and_loses_no_request(backends: Backends, replica: Fleet) -> None:
    scripts = [Connector() for _ in range(3)]
    members = await backends(*scripts)
    balancers = [await replica(f"lb{n}", *members, pool={"check": CHECK}, workers=1 + n % 2) for n in (1, 2, 3)]
    for balancer in balancers:
        await in_fleet(balancer, lambda fleet: len(fleet["replicas"]) == 3)
    operator = Operator(members, scripts)
    async with commanded(operator) as line:
        crowds = [Users(balancer, 3) for balancer in balancers]
        rolling = asyncio.ensure_future(roll_out(balancers[0], line))
        await in_fleet(balancers[1], lambda fleet: fleet["rollouts"] and fleet["rollouts"][0]["held"])
        code, _, err = await roll_out(balancers[1], line)
        assert code == 1
        assert " on lb1 rolls out pool connectors already" in err
        code, out, err = await rolling
        for crowd in crowds:
            await crowd.stop()
    assert (code, err, out.splitlines()[-1]) == (0, "", "updated: c1, c2, c3")
    assert operator.updated == ["c1", "c2", "c3"]
    for crowd in crowds:
        assert {status for status, _ in crowd.seen} == {200}
    for balancer in balancers:
        await in_fleet(balancer, lambda fleet: not fleet["rollouts"])
    print(f"{sum(sum(crowd.seen.values()) for crowd in crowds)} requests")


async def test_a_rollout_goes_on_elsewhere_after_its_command_died(backends: Backends, replica: Fleet) -> None:
    scripts = [Connector() for _ in range(3)]
    members = await backends(*scripts)
    one, other = [await replica(f"lb{n}", *members, pool={"check": CHECK}) for n in (1, 2)]
    await in_fleet(one, lambda fleet: len(fleet["replicas"]) == 2)
    logs = str(one.path.parent / "logs")
    process = await lbproxy("rollout", "-c", str(one.path), "--logs", logs, "--run", "sleep 600")
    await drained(other, "c1")
    command_runs = descendants(process.pid)
    process.kill()
    await process.communicate()
    for pid in command_runs:
        with suppress(ProcessLookupError):
            os.kill(pid, SIGKILL)
    [left] = (await in_fleet(other, lambda fleet: fleet["rollouts"] and not fleet["rollouts"][0]["held"]))["rollouts"]
    assert (left["replica"], left["target"], left["updated"]) == ("lb1", "c1", [])
    assert "has stopped; none is updated yet. Go on with --from c1" in await told("fleet", "-c", str(other.path))
    operator = Operator(members, scripts)
    async with commanded(operator) as line:
        code, out, err = await roll_out(other, line, "--from", "c1")
    assert (code, err, out.splitlines()[-1]) == (0, "", "updated: c1, c2, c3")


async def test_an_ejection_makes_the_others_look(backends: Backends, replica: Fleet) -> None:
    """Whose own probe would have come much later."""
    slow = {"kind": "http", "path": "/healthz", "interval": "10m"}
    first, second = await backends(Connector(), Connector())
    one, other = [await replica(f"lb{n}", first, second, pool={"check": slow}) for n in (1, 2)]
    await in_fleet(one, lambda fleet: len(fleet["replicas"]) == 2)
    await in_fleet(other, lambda fleet: len(fleet["replicas"]) == 2)
    await first.stop()
    async with within("c1 is ejected"):
        while (await one.backends())["c1"]["state"] == "up":
            assert (await one.ask()).status == 200
    await other.logged("INFO fleet_evidence", "backend=c1", "replica=lb1")
    await other.logged("WARNING backend_ejected", "backend=c1", "reason=probe")
    assert not [line for line in other.log if "backend=c2" in line and "ejected" in line]
