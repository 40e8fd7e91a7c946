"""Much happens to a fleet at random, under load, and what must be true is looked at after each event.

LBPROXY_FULL=1: 2,000 events, each hundred with a seed of its own, which is printed. Otherwise a dozen.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGUSR2
from typing import Any

import pytest

from lbproxy.control.admin import client
from lbproxy.control.rollout.balancer import AdminBalancer
from lbproxy.control.rollout.lock import run_alone
from lbproxy.control.rollout.plan import Target, choose_pool, plan
from lbproxy.control.rollout.runner import Conditions, Rollout
from lbproxy.errors import LbproxyError
from tests.etcd_server import Node, cluster

from .balancer import Balancer
from .configuration import configuration
from .fleet_world import Desk, Link, User
from .progress import DEADLINE
from .test_fleet import in_fleet

FULL = bool(os.environ.get("LBPROXY_FULL"))
RUNS = [f"{number} of 20" for number in range(1, 21)] if FULL else ["short"]
EVENTS = 100 if FULL else 12
SETTLE_EVERY = 10
"""Events, after which all is mended, and all replicas have to agree."""

CHECK = {"kind": "http", "path": "/healthz", "interval": "500ms", "rise": 1, "fall": 2}
NAMES = ("c1", "c2", "c3", "c4")
JOINS = "c5"  # by an operator's order

Field = tuple[str, str]
"""A backend's name, and drain, weight, standby or added."""


class Orders:
    """What operators have ordered, as the test gave it: `last`, and everything that it `may` be by now.

    The hosts have one clock, so the order that was given last counts, whoever heard of it. But what holds on one
    replica only dies with it; and a rollout gives orders of its own.
    """

    def __init__(self) -> None:
        self.last: dict[Field, Any] = {}
        self.may: dict[Field, set[Any]] = {}
        self.unsure: set[Field] = set()

    def gave(self, name: str, field: str, value: Any, sure: bool = True) -> None:
        before = self.last.get((name, field), _nothing(field))
        self.may.setdefault((name, field), {before}).add(value)
        self.last[name, field] = value
        if not sure:
            self.unsure.add((name, field))

    def possible(self, name: str, field: str) -> set[Any]:
        return self.may.get((name, field), {self.last.get((name, field), _nothing(field))})

    def settled(self, found: dict[Field, Any]) -> None:
        """All replicas have that: it has to be what was ordered last, or could be."""
        for key, value in found.items():
            allowed = self.possible(*key) if key in self.unsure else {self.last.get(key, _nothing(key[1]))}
            assert value in allowed, f"{key} is {value}; it may be {allowed}"
        self.last, self.may, self.unsure = dict(found), {}, set()


def _nothing(field: str) -> Any:
    return {"weight": 1}.get(field, False)


def found(snapshot: Any) -> dict[Field, Any]:
    """What a replica carries out."""
    backends = snapshot["pools"][0]["backends"]
    there = {(one["name"], field): one[key] for one in backends for field, key in _FIELDS if one["name"] != JOINS}
    return {**there, (JOINS, "added"): any(one["name"] == JOINS for one in backends)}


_FIELDS = (("drain", "draining"), ("weight", "weight"), ("standby", "standby"))


class Watcher:
    """Of a rollout: nobody."""

    def done(self, target: Target, what: str) -> None: ...

    def waits(self, target: Target, what: str) -> None: ...


class World:
    """Three replicas, three nodes of etcd with a link to each from each, connectors, users, and what happened."""

    def __init__(self, folder: Path, nodes: list[Node], rng: random.Random) -> None:
        self.folder, self.nodes, self.rng = folder, nodes, rng
        self.desk = Desk([*NAMES, JOINS])
        self.orders = Orders()
        self.links = {name: [Link(node.url) for node in nodes] for name in ("lb1", "lb2", "lb3")}
        self.configs: dict[str, dict[str, Any]] = {}
        self.replicas: dict[str, Balancer] = {}
        self.ended: list[Balancer] = []
        self.cut: set[str] = set()
        self.dead_nodes: list[Node] = []
        self.rollout: asyncio.Task[None] | None = None
        self.users = [
            User(number, f"u{number}" if number % 3 else "", self.desk, self.live, random.Random(rng.random()))
            for number in range(6)
        ]

    def live(self) -> list[Balancer]:
        return list(self.replicas.values())

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for connector in self.desk.connectors.values():
                await connector.start()
                stack.push_async_callback(connector.stop)
            for links in self.links.values():
                for link in links:
                    await link.start()
                    stack.push_async_callback(link.stop)
            stack.push_async_callback(self._end)
            for number, name in enumerate(self.links):
                self.configs[name] = self._configuration(name, workers=1 + number % 2)
                await self.begin(name)
            for user in self.users:
                task = asyncio.create_task(user.run())
                stack.callback(task.cancel)
            yield
            for balancer in self.live():
                balancer.check()

    async def _end(self) -> None:
        if self.rollout is not None:
            self.rollout.cancel()
            await asyncio.gather(self.rollout, return_exceptions=True)
        for balancer in self.live():
            await balancer.kill()
        for balancer in [*self.ended, *self.live()]:
            print(*balancer.log, sep="\n")

    def _configuration(self, name: str, workers: int) -> dict[str, Any]:
        directory = self.folder / name
        directory.mkdir()
        fleet = {"name": "f", "replica": name, "etcd": [link.url for link in self.links[name]], "lease": "2s"}
        backends = [(one, self.desk.connectors[one].url) for one in NAMES]
        return configuration(
            directory, backends, pool={"check": CHECK}, server_url="http://login.test", fleet=fleet, workers=workers
        )

    async def begin(self, name: str) -> None:
        self.replicas[name] = await Balancer.start(self.configs[name], self.folder / name)

    # --- what happens

    async def order(self, name: str, field: str, value: Any, give: Callable[[Path], object]) -> None:
        """An operator's, at any replica."""
        replica = self.rng.choice(self.live())
        try:
            await asyncio.to_thread(give, _socket(replica))
        except LbproxyError as error:
            print(f"  refused: {error}")
            if "does not answer" in str(error) or "not running" in str(error):
                self.orders.gave(name, field, value, sure=False)
        else:
            self.orders.gave(name, field, value)

    async def drain(self) -> None:
        name = self.rng.choice(NAMES)
        await self.order(name, "drain", True, lambda bind: client.drain(bind, name, force=True))

    async def ready(self) -> None:
        name = self.rng.choice(NAMES)
        await self.order(name, "drain", False, lambda bind: client.make_ready(bind, name))

    async def change(self) -> None:
        name, field = self.rng.choice(NAMES), self.rng.choice(["weight", "standby"])
        value = self.rng.randint(1, 9) if field == "weight" else self.rng.random() < 0.3
        full = f"connectors/{name}"
        await self.order(name, field, value, lambda bind: client.change_backend(bind, full, {field: value}, force=True))

    async def join(self) -> None:
        full, url = f"connectors/{JOINS}", self.desk.connectors[JOINS].url
        if self.rng.random() < 0.5:
            await self.order(JOINS, "added", True, lambda bind: client.add_backend(bind, full, url, 1, False))
        else:
            await self.order(JOINS, "added", False, lambda bind: client.remove_backend(bind, full, force=True))

    async def roll_out(self) -> None:
        if self.rollout is None or self.rollout.done():
            bind = _socket(self.rng.choice(self.live()))
            for name in (*NAMES, JOINS):
                for value in (True, False):
                    self.orders.gave(name, "drain", value, sure=False)
            self.rollout = asyncio.create_task(_roll_out(bind))

    async def reload(self) -> None:
        self.rng.choice(self.live()).signal(SIGHUP)

    async def upgrade(self) -> None:
        self.rng.choice(self.live()).signal(SIGUSR2)

    async def _lose(self, replica: Balancer) -> None:
        """What holds there only dies with it."""
        with suppress(LbproxyError):
            snapshot = await asyncio.to_thread(client.fetch_status, _socket(replica))
            assert snapshot["fleet"] is not None
            for one in snapshot["fleet"]["orders"]:
                if one["here_only"]:
                    self.orders.unsure |= {(one["backend"], field) for field in ("drain", "weight", "standby", "added")}

    async def kill_generation(self) -> None:
        replica = self.rng.choice(self.live())
        if replica.generations:
            await self._lose(replica)
            with suppress(ProcessLookupError):
                os.kill(replica.pid, SIGKILL)

    async def kill_worker(self) -> None:
        workers = [worker for replica in self.live() if replica.generations for worker in replica.workers]
        if workers:
            with suppress(ProcessLookupError):
                os.kill(self.rng.choice(workers), SIGKILL)

    async def kill_replica(self) -> None:
        if len(self.replicas) > 1:
            name = self.rng.choice(list(self.replicas))
            await self._lose(self.replicas[name])
            self.ended.append(balancer := self.replicas.pop(name))
            await balancer.kill()
            balancer.check()

    async def start_replica(self) -> None:
        for name in self.links.keys() - self.replicas.keys():
            await self.begin(name)

    async def cut_off(self) -> None:
        name = self.rng.choice(list(self.links))
        self.cut.add(name)
        refuses = self.rng.random() < 0.5
        for link in self.links[name]:
            link.cut(refuses)

    async def mend(self) -> None:
        for name in self.cut:
            for link in self.links[name]:
                link.mend()
        self.cut.clear()

    async def kill_node(self) -> None:
        left = [node for node in self.nodes if node not in self.dead_nodes]
        for node in left if self.rng.random() < 0.2 else left[:1]:
            await asyncio.to_thread(node.kill)
            self.dead_nodes.append(node)

    async def start_nodes(self) -> None:
        dead, self.dead_nodes = self.dead_nodes, []
        for node in dead:
            node.launch()
        for node in dead:
            await asyncio.to_thread(node.wait)

    async def kill_connector(self) -> None:
        await self.rng.choice(list(self.desk.connectors.values())).stop()

    async def start_connectors(self) -> None:
        for connector in self.desk.connectors.values():
            if not connector.listens:
                await connector.start()

    # --- what must be true

    async def look(self) -> None:
        """After each event."""
        assert not self.desk.wrong
        for replica in self.live():
            try:
                snapshot = await asyncio.to_thread(client.fetch_status, _socket(replica))
            except LbproxyError:
                continue  # between two generations
            for one in snapshot["pools"][0]["backends"]:
                if one["draining"]:
                    assert True in self.orders.possible(one["name"], "drain"), f"{one['name']}: drained by nobody"
                    assert one["ordered"]["drain"]["by"]

    async def _agreed(self) -> dict[Field, Any]:
        """What all replicas carry out, when that is the same."""
        async with asyncio.timeout(DEADLINE):
            while True:
                there = [await replica.until(lambda seen: seen["state"] == "serving") for replica in self.live()]
                if all(found(one) == found(there[0]) for one in there):
                    return found(there[0])

    async def settle(self) -> None:
        """All is mended: in the end all agree, on what was ordered."""
        for mend in (self.start_nodes, self.mend, self.start_replica, self.start_connectors):
            await mend()
        if self.rollout is not None:
            await self.rollout
        for replica in self.live():
            await in_fleet(replica, lambda fleet: fleet["unreachable_since"] is None and _alone(fleet) == [])
        self.orders.settled(await self._agreed())
        await self.look()


def _alone(fleet: Any) -> list[Any]:
    return [one for one in fleet["orders"] if one["here_only"]]


def _socket(replica: Balancer) -> Path:
    return Path(replica.config["admin"]["bind"].removeprefix("unix:"))


async def _roll_out(bind: Path) -> None:
    async def update(_: Target) -> None:
        """Nothing to do."""

    try:
        snapshot = await asyncio.to_thread(client.fetch_status, bind)
        pool = choose_pool(snapshot, "connectors")
        targets = plan(snapshot, pool, None, 1)
        rollout = Rollout(targets, AdminBalancer(bind), update, Watcher(), Conditions(timeout=10.0))
        await run_alone(rollout, {"connectors": client.RolloutLock(bind, "connectors")})
        print("  a rollout was done")
    except LbproxyError as error:
        print(f"  a rollout stopped: {str(error).splitlines()[0]}")


@pytest.mark.parametrize("run", RUNS)
async def test_what_must_be_true_is_true_after_each_event(directory: Path, tmp_path: Path, run: str) -> None:
    rng = random.Random(seed := int(os.environ.get("LBPROXY_SEED") or random.randrange(1 << 30)))
    print(f"{run}: seed {seed}")
    with cluster(tmp_path, 3) as nodes:
        world = World(directory, nodes, rng)
        events: dict[Callable[[], Awaitable[None]], int] = {
            world.drain: 6, world.ready: 6, world.change: 6, world.join: 4, world.roll_out: 3, world.reload: 3,
            world.upgrade: 1, world.kill_generation: 2, world.kill_worker: 2, world.kill_replica: 1,
            world.start_replica: 2, world.cut_off: 4, world.mend: 4, world.kill_node: 2, world.start_nodes: 3,
            world.kill_connector: 2, world.start_connectors: 2,
        }  # fmt: skip
        async with world.alive():
            await world.settle()
            for number in range(1, EVENTS + 1):
                [event] = rng.choices(list(events), list(events.values()))
                print(f"{number} {event.__name__}")
                await event()
                await world.look()
                if number % SETTLE_EVERY == 0 or number == EVENTS:
                    await world.settle()
        answers: Counter[int] = sum((user.seen for user in world.users), start=Counter())
        print(
            f"{EVENTS} events, answers by status: {dict(answers)}, {sum(user.cut for user in world.users)} visits cut"
        )
        assert answers[200]
