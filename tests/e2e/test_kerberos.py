"""The main job on real input: tickets of a real KDC, through TLS, over three sample connectors, one of which dies."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
import pytest_asyncio

from lbproxy.demo.journal import read_journal
from lbproxy.demo.realm import Realm
from tests.pki import WITHOUT_AUTHORITIES
from tests.ports import free_port

from .balancer import Balancer, running
from .client import HOST, Client
from .configuration import configuration
from .progress import DEADLINE, Progress
from .starting import Process, connector
from .tls import Authority

REQUESTS = 60_000 if os.environ.get("LBPROXY_FULL") else 1_600
"""Half of them before the connector is killed, a quarter without it, a quarter with it again."""

CLIENTS = 50
PACE = 0.05
"""Seconds between two requests of one client: 1,000 requests a second in all."""

INTERVAL = 1.0
PROBE, LOAD = "/healthz?probe", "/healthz?load"


@dataclass
class Connector:
    """One sample connector as a process, on a port that stays its own over restarts."""

    name: str
    port: int
    arguments: list[str]
    environment: dict[str, str]
    journal: Path
    process: Process | None = None

    async def start(self) -> float:
        """Start it; returns the time (epoch seconds) when it listens."""
        options = ["--name", self.name, "--port", str(self.port), "--journal", str(self.journal), "--work-ms", "5"]
        self.process = await connector([*options, *self.arguments], os.environ | WITHOUT_AUTHORITIES | self.environment)
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            assert (await self.process.stdout.readline()).startswith(b"listening: ")
        return time.time()

    async def kill(self) -> float:
        """SIGKILL, if it runs; returns the time (epoch seconds) just before."""
        assert self.process is not None
        now = time.time()
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        return now


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    with Realm(tmp_path_factory.mktemp("realm")) as realm:
        realm.add_user("alice", "secret")
        yield realm


@pytest.fixture(scope="module")
def keytab(realm: Realm) -> Path:
    return realm.add_service(f"HTTP/{HOST}")


@pytest_asyncio.fixture(loop_scope="session")
async def connectors(realm: Realm, keytab: Path, tmp_path: Path) -> AsyncIterator[list[Connector]]:
    """Three running connectors that share one keytab, as instances of one service do."""
    members = []
    for name in ("c1", "c2", "c3"):
        environment = realm.acceptor_env(name) | {"KRB5RCACHENAME": f"file2:{tmp_path}/{name}.rcache"}
        journal = tmp_path / f"{name}.journal"
        members.append(Connector(name, free_port(), ["--keytab", str(keytab)], environment, journal))
    async with AsyncExitStack() as stack:
        for member in members:
            await member.start()
            stack.push_async_callback(member.kill)
        yield members


@pytest_asyncio.fixture(loop_scope="session")
async def balancer(connectors: list[Connector], directory: Path, authority: Authority) -> AsyncIterator[Balancer]:
    config = configuration(
        directory,
        [(one.name, f"http://127.0.0.1:{one.port}") for one in connectors],
        pool={"check": {"kind": "http", "path": PROBE, "expect": [200], "interval": f"{INTERVAL}s"}},
        certificate=authority.write(directory, HOST),
    )
    authority.write_ca(directory / "ca.pem")
    async with running(config, directory, authority.client_context()) as balancer:
        yield balancer


async def curl(balancer: Balancer, environment: dict[str, str], *arguments: str) -> dict[str, str | int | None]:
    """One login of curl with the ticket in `environment`; returns the connector's answer."""
    program = shutil.which("curl")
    assert program, "curl is missing: apt-get install curl"
    port = balancer.address[1]
    process = await asyncio.create_subprocess_exec(
        *(program, "--silent", "--show-error", "--fail", "--negotiate", "--user", ":", "--max-time", "20"),
        *("--cacert", str(balancer.path.with_name("ca.pem")), "--resolve", f"{HOST}:{port}:127.0.0.1"),
        *arguments,
        f"https://{HOST}:{port}/wsfed",
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err
    answer: dict[str, str | int | None] = json.loads(out)
    return answer


async def test_300_logins_are_spread_evenly(balancer: Balancer, realm: Realm, connectors: list[Connector]) -> None:
    environment = realm.kinit("alice")
    answers = []
    for _ in range(75):
        answers += await asyncio.gather(*(curl(balancer, environment) for _ in range(4)))
    assert {answer["user"] for answer in answers} == {f"alice@{realm.name}"}
    assert Counter(answer["instance"] for answer in answers) == {"c1": 100, "c2": 100, "c3": 100}
    tokens = Counter(entry.token for one in connectors for entry in read_journal(one.journal) if entry.token)
    assert len(tokens) == 300
    assert set(tokens.values()) == {1}
    assert {record["lane"] for record in balancer.access if record["target"] == "/wsfed"} == {"private"}


class Load:
    """CLIENTS kept connections that each ask for LOAD again and again; `failures` holds every answer but 200."""

    def __init__(self, balancer: Balancer) -> None:
        self.balancer = balancer
        self.answered: Counter[str] = Counter()
        self.failures: list[object] = []
        self.stopped = False
        self._progress = Progress()
        self._tasks = [asyncio.ensure_future(self._client()) for _ in range(CLIENTS)]

    async def until_answered(self, count: int) -> None:
        """Wait until so many more requests are answered, or one failed."""
        enough = self.answered.total() + count
        await self._progress.until(lambda: self.failures or self.answered.total() >= enough, 2 * count * PACE)

    async def _client(self) -> None:
        async with await self.balancer.connect() as client:
            while not self.stopped:
                await self._ask(client)
                await asyncio.sleep(PACE)

    async def _ask(self, client: Client) -> None:
        try:
            response = await client.ask(LOAD)
        except Exception as error:
            self.failures.append(error)
            self._progress.happened()
            raise
        if response.status == 200:
            self.answered[json.loads(response.body)["instance"]] += 1
        else:
            self.failures.append(response)
        self._progress.happened()

    async def stop(self) -> None:
        self.stopped = True
        await asyncio.gather(*self._tasks, return_exceptions=True)


def log_time(line: str) -> float:
    """Epoch seconds of a line of the log."""
    return datetime.fromisoformat(line.split()[0]).timestamp()


def ejections(balancer: Balancer) -> list[str]:
    return [line for line in balancer.log if "backend_ejected" in line and "c2" in line]


async def test_a_connector_killed_under_load_costs_no_get(balancer: Balancer, connectors: list[Connector]) -> None:
    """Who had a request at c2 when it died tries once more; nobody after that: it is out at the first failure."""
    load = Load(balancer)
    await load.until_answered(REQUESTS // 2)
    killed = await connectors[1].kill()
    ejected = log_time(await balancer.logged("backend_ejected", "c2"))
    await load.until_answered(REQUESTS // 4)
    listening = await connectors[1].start()
    await balancer.logged("backend_readmitted", "c2", count=2)
    before = load.answered["c2"]
    await load.until_answered(REQUESTS // 4)
    await load.stop()
    assert load.failures == []
    assert killed - 0.001 <= ejected
    assert 1 <= len([record for record in balancer.access if record["tries"] > 1]) <= CLIENTS
    assert len(ejections(balancer)) == 1
    assert load.answered["c2"] > before
    served = [entry.path for entry in read_journal(connectors[1].journal) if entry.time > listening - 1]
    assert served[: served.index(LOAD)].count(PROBE) <= 2
