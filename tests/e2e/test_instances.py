"""Connectors made of one by pack and apply; each of the eight ways to drift is found by diff, the guard and doctor.

What they say is the transcript in docs/instances.md.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import pyrage
import pytest
import pytest_asyncio
from click.testing import CliRunner, Result

from lbproxy.cli import main
from lbproxy.config import fleet
from lbproxy.doctor.connector import connector_checks
from lbproxy.doctor.connector.sight import Asked
from lbproxy.doctor.examination import examine
from lbproxy.doctor.finding import Outcome
from lbproxy.instance.facts import read_facts
from lbproxy.instance.model import Where
from lbproxy.runtime.build_registration import Wanted, register_until
from tests.instance.connector import Connector, with_certificates
from tests.instance.drift import DRIFTS
from tests.pki import Authority
from tests.ports import free_port

from .backend import ScriptedBackend
from .balancer import Balancer, running
from .configuration import configuration
from .registrar import Registrar
from .starting import lbproxy
from .test_discovery import inside

PAGE = Path(__file__).parents[2] / "docs" / "instances.md"
HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


@pytest.fixture
def key(directory: Path) -> Path:
    """The private key of the other hosts; the public one is beside it."""
    identity = pyrage.x25519.Identity.generate()
    (directory / "host").write_text(str(identity))
    (directory / "host.pub").write_text(str(identity.to_public()))
    return directory / "host"


@pytest.fixture
def three(directory: Path, key: Path) -> list[Connector]:
    """As an administrator makes them."""
    first = Connector.make(directory / "c1", port=free_port())
    with_certificates(first)
    succeeds("pack", "--dir", first.directory, "--recipient", f"{key}.pub", directory / "c.pack")
    made = [first]
    for name in ("c2", "c3"):
        made.append(Connector.install(directory / name))
        options = ("--dir", made[-1].directory, "--port", free_port(), "--identity", key, "--yes")
        succeeds("apply", *options, directory / "c.pack")
    return made


def instance(*words: object) -> Result:
    """`lbproxy instance WORDS`."""
    return CliRunner().invoke(main, ["instance", *map(str, words)])


def succeeds(*words: object) -> str:
    done = instance(*words)
    assert done.exit_code == 0, done.output
    return done.stdout


@asynccontextmanager
async def telling(connectors: list[Connector], directory: Path, port: int) -> AsyncIterator[None]:
    """`lbproxy instance facts` on each host, for balancers with a certificate."""
    root = Authority.root()
    root.write_certificate(directory / "root.pem")
    shown = root.issue("lb1").write(directory, "lb1")
    (directory / "lb1-both.pem").write_bytes(shown.chain.read_bytes() + shown.key.read_bytes())
    root.server(*HOSTS).write(directory, "facts")
    tls = ["--certificate", "facts.pem", "--key", "facts.key", "--client-ca", "root.pem"]
    tls = [str(directory / word) if not word.startswith("--") else word for word in tls]
    processes = []
    try:
        for host, connector in zip(HOSTS, connectors, strict=True):
            listen = ["--dir", str(connector.directory), "--listen", f"{host}:{port}"]
            processes.append(await lbproxy("instance", "facts", *listen, *tls))
        for process in processes:
            assert process.stdout is not None
            assert b"/facts" in await process.stdout.readline()
        yield
    finally:
        for process in processes:
            process.terminate()
            await process.communicate()


def pool(directory: Path, port: int) -> dict[str, Any]:
    facts = {name: {"url": f"https://{{host}}:{port}/facts", "json": f"/facts/{name}"} for name in DRIFTS}
    files = {name: str(directory / path) for name, path in
             (("ca", "root.pem"), ("certificate", "lb1.pem"), ("key", "lb1.key"))}  # fmt: skip
    guard = {"policy": "eject-minority", "interval": "200ms", "facts": facts}
    return {"check": {"kind": "tcp", "interval": "200ms", "timeout": "10s"}, "tls": files, "consistency": guard}


@pytest.fixture
def port() -> int:
    """Where each host tells its facts."""
    return free_port()


@pytest_asyncio.fixture(loop_scope="session")
async def balancer(three: list[Connector], directory: Path, port: int) -> AsyncIterator[Balancer]:
    backends = [ScriptedBackend(f"c{number}", host=host) for number, host in enumerate(HOSTS, 1)]
    async with AsyncExitStack() as stack:
        for backend in backends:
            await backend.start()
            stack.push_async_callback(backend.stop)
        await stack.enter_async_context(telling(three, directory, port))
        urls = [(backend.name, backend.url) for backend in backends]
        config = configuration(directory, urls, pool=pool(directory, port))
        yield await stack.enter_async_context(running(config, directory))


@pytest_asyncio.fixture(loop_scope="session")
async def arrivals(three: list[Connector], directory: Path, etcd_url: str) -> AsyncIterator[Arrivals]:
    async with Arrivals.begin(three, directory, etcd_url) as made:
        yield made


class Arrivals:
    """A balancer of a fleet, into whose pool connectors come by `lbproxy register`; `c1` and `c2` are there."""

    def __init__(self, balancer: Balancer, file: Path, backends: list[ScriptedBackend]) -> None:
        self.balancer = balancer
        self._file = file
        self.backends = backends

    @classmethod
    @asynccontextmanager
    async def begin(cls, three: list[Connector], directory: Path, etcd_url: str) -> AsyncIterator[Self]:
        name, file = uuid4().hex, directory / "fleet.toml"
        file.write_text(f'[fleet]\nname = "{name}"\netcd = ["{etcd_url}"]\nlease = "2s"\n')
        (directory / "lb").mkdir()
        guard = {"policy": "eject-minority", "facts": {fact: {"registered": True} for fact in DRIFTS}}
        members = {"backends": [], "discover": {"kind": "etcd", "empty_after": "1h"}, "consistency": guard}
        replica = {"name": name, "replica": "lb1", "etcd": [etcd_url], "lease": "2s"}
        pool = members | {"check": {"kind": "tcp", "interval": "200ms"}}
        config = configuration(directory / "lb", [], pool=pool, fleet=replica)
        async with AsyncExitStack() as stack:
            backends = [await stack.enter_async_context(listening(f"c{number}")) for number in (1, 2, 3)]
            made = cls(await stack.enter_async_context(running(config, directory / "lb")), file, backends)
            for backend, connector in zip(backends[:2], three, strict=False):
                registrar = await made.register(backend, connector)
                stack.push_async_callback(registrar.kill)
            await made.balancer.until(inside(2))
            yield made

    async def register(self, backend: ScriptedBackend, connector: Connector) -> Registrar:
        """By the command, with the facts of its files."""
        return await Registrar.start(self._file, backend, "--instance", "auth0", "--dir", str(connector.directory))

    async def comes(self, connector: Connector, count: int) -> str:
        """The third comes and goes for the time `count`, and is kept out; what is logged. It is without a process."""
        third, end = self.backends[2], asyncio.Event()
        told = await asyncio.to_thread(read_facts, "auth0", Where(connector.directory))
        wanted = Wanted("connectors", third.name, third.url, facts=told.facts)
        registered = asyncio.ensure_future(register_until(end, fleet(self._file), wanted))
        line = await self.balancer.logged("backend_ejected", "backend=c3", "reason=consistency", count=count)
        assert await served(self.balancer) == {"c1": 3, "c2": 3}
        assert third.requests == []
        end.set()
        await registered
        await self.balancer.until(inside(2))
        return line


@asynccontextmanager
async def listening(name: str) -> AsyncIterator[ScriptedBackend]:
    backend = ScriptedBackend(name)
    await backend.start()
    yield backend
    await backend.stop()


async def served(balancer: Balancer) -> Counter[str]:
    answers = [await balancer.ask() for _ in range(6)]
    return Counter(answer.body.decode() for answer in answers)


@contextmanager
def drifted(connector: Connector, fact: str) -> Iterator[str]:
    """The connector in one of the ways, and repaired after it; words of what users would notice."""
    good = connector.files()
    drift, words = DRIFTS[fact]
    drift(connector)
    yield words
    for path, (content, _) in good.items():
        (connector.directory / path).write_bytes(content)


def examined(connector: Connector, beside: Connector) -> list[str]:
    """What doctor says of its files: each finding that is not well."""
    asked = Asked("auth0", Where(connector.directory), "https://login.corp.example", beside=str(beside.directory))
    checks = [one for one in connector_checks(asked) if one.name in ("installation", "beside", "SERVER_URL")]
    found = ((one.check.name, finding) for one in examine(checks) for finding in one.findings)
    return [f"{name}: {one.outcome}: {one.found}" for name, one in found if one.outcome is not Outcome.OK]


def event(line: str) -> str:
    """A log line without its time and level."""
    return line.partition(" INFO ")[2] or line.partition(" WARNING ")[2]


def as_printed(directory: Path, fact: str, said: str, ejected: str, arrived: str, findings: list[str]) -> str:
    """What one drift amounts to, without what differs from run to run."""
    lines = [
        *(f"diff    {line}" for line in said.splitlines()),
        f"guard   {event(ejected)}",
        f"arrives {event(arrived)}",
        *(f"doctor  {line}" for line in findings),
    ]
    text = "\n".join([f"# {fact}", *lines, ""]).replace(f"{directory}/", "/opt/")
    known: list[str] = []

    def numbered(digest: re.Match[str]) -> str:
        known.extend({digest[0][:12]} - set(known))
        return f"DIGEST-{known.index(digest[0][:12]) + 1}"

    return re.sub(r"\b[0-9a-f]{16,}(?:\.\.\.)?", numbered, text)


async def test_one_that_has_drifted_is_kept_out_and_comes_back(
    three: list[Connector], balancer: Balancer, arrivals: Arrivals, directory: Path, port: int
) -> None:
    shown = ("--ca", directory / "root.pem", "--certificate", directory / "lb1-both.pem")
    operands = (three[0].directory, f"https://{HOSTS[2]}:{port}/facts")
    # A URL is read with a loop of its own.
    assert "are alike" in await asyncio.to_thread(succeeds, "diff", *shown, *operands)
    assert (await asyncio.to_thread(instance, "diff", *shown[:2], *operands)).exit_code == 2
    assert await served(balancer) == {"c1": 2, "c2": 2, "c3": 2}
    assert await asyncio.to_thread(examined, three[2], three[0]) == []
    transcript = []
    for count, fact in enumerate(DRIFTS, 1):
        with drifted(three[2], fact) as words:
            line = await balancer.logged("backend_ejected", "backend=c3", "reason=consistency", count=count)
            assert f'detail="{fact} is ' in line
            assert await served(balancer) == {"c1": 3, "c2": 3}
            told = instance("diff", directory / "c.pack", three[2].directory)
            assert (told.exit_code, words in told.stdout) == (1, True), f"{fact}: {told.output}"
            findings = await asyncio.to_thread(examined, three[2], three[0])
            assert any(one.startswith(f"beside: problem: {fact} ") for one in findings), findings
            arrived = await arrivals.comes(three[2], count)
            transcript.append(as_printed(directory, fact, told.stdout, line, arrived, findings))
        await balancer.logged("backend_readmitted", "backend=c3", "reason=consistency", count=count)
    assert await served(balancer) == {"c1": 2, "c2": 2, "c3": 2}
    printed = "\n".join(transcript)
    assert printed in PAGE.read_text(), f"docs/instances.md has not what is said now:\n{printed}"


async def test_only_the_port_may_differ_and_apply_repairs_the_rest(
    three: list[Connector], key: Path, directory: Path
) -> None:
    first, second, third = three
    assert len({connector.config["PORT"] for connector in three}) == 3
    for drift, _ in DRIFTS.values():
        drift(third)
    (third.directory / "package.json").write_bytes((first.directory / "package.json").read_bytes())
    port = third.config["PORT"]
    assert instance("diff", second.directory, third.directory).exit_code == 1
    succeeds("apply", "--dir", third.directory, "--identity", key, "--yes", directory / "c.pack")
    succeeds("diff", second.directory, third.directory)
    assert third.config["PORT"] == port
