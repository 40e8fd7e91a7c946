"""Fixtures of the black-box tests. All of them, and all tests here, share one event loop.

play        `balancer, backend = await play(script, tls=False)`: one backend behind a balancer with the default options
            of `configuration`, both shared by all tests; for what depends on neither history nor options
share       `balancer, backends = await share(script, ..., tls=False, **changes)`: the same with a backend a script, and
            with other options; for the tests that want the same. An ejected backend is back after 50 ms.
            mode="tcp" is one of them
backends    `await backends(script, ...)` starts one backend a script, named c1, c2 and so on
balance     `await balance(*backends, tls=False, **changes)` starts a balancer of the test's own in front of them
passes      `await passes(*backends, mode="tcp", **changes)` the same, for connections that are passed through
            A balancer whose memory is measured takes around=BY_COMMAND_LINE.
directory   a directory of the test's own, authority a certificate authority for all
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from .backend import Script, ScriptedBackend, serve
from .balancer import Balancer, running
from .configuration import configuration
from .passing import Member, passing
from .peers import Peers, Stages
from .surroundings import PLAIN, Surroundings
from .tls import Authority

Backends = Callable[..., Awaitable[list[ScriptedBackend]]]
Balance = Callable[..., Awaitable[Balancer]]
Play = Callable[..., Awaitable[tuple[Balancer, ScriptedBackend]]]
Share = Callable[..., Awaitable[tuple[Balancer, tuple[ScriptedBackend, ...]]]]

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def directory() -> Iterator[Path]:
    """Its path is short enough for a Unix socket (108 bytes, unix(7)); pytest's own may be longer."""
    path = Path(tempfile.mkdtemp(prefix="lbp-"))
    yield path
    shutil.rmtree(path)


@pytest_asyncio.fixture(loop_scope="session")
async def backends() -> AsyncIterator[Backends]:
    started: list[ScriptedBackend] = []

    async def start(*scripts: Any, tls: Any = None) -> list[ScriptedBackend]:
        made = [ScriptedBackend(f"c{len(started) + n}", script, tls) for n, script in enumerate(scripts or [serve], 1)]
        started.extend(made)
        for backend in made:
            await backend.start()
        return made

    yield start
    for backend in started:
        await backend.stop()
    for backend in started:
        backend.check()


@pytest_asyncio.fixture(loop_scope="session")
async def balance(directory: Path, authority: Authority, backends: Backends) -> AsyncIterator[Balance]:
    """Depends on `backends` so that the balancers end first."""
    async with AsyncExitStack() as stack:

        async def start(
            *members: ScriptedBackend, tls: bool = False, around: Surroundings = PLAIN, **changes: Any
        ) -> Balancer:
            if tls:
                changes["certificate"] = authority.write(directory, "login.test", "127.0.0.1")
            urls = [(member.name, member.url) for member in members]
            config = configuration(directory, urls, **changes)
            context = authority.client_context() if tls else None
            return await stack.enter_async_context(running(config, directory, context, around))

        yield start


@pytest_asyncio.fixture(loop_scope="session")
async def passes(directory: Path, backends: Backends) -> AsyncIterator[Balance]:
    """Depends on `backends` so that the balancers end first."""
    async with AsyncExitStack() as stack:

        async def start(*members: Member, mode: str = "tcp", around: Surroundings = PLAIN, **changes: Any) -> Balancer:
            config = passing(directory, members, mode, **changes)
            return await stack.enter_async_context(running(config, directory, around=around))

        yield start


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stages(authority: Authority) -> AsyncIterator[Stages]:
    stages = Stages(authority)
    yield stages
    await stages.close()


@pytest_asyncio.fixture(loop_scope="session")
async def share(stages: Stages) -> AsyncIterator[Share]:
    used: list[Peers] = []

    async def start(
        *scripts: Script, tls: bool = False, **changes: Any
    ) -> tuple[Balancer, tuple[ScriptedBackend, ...]]:
        peers = await stages.get(len(scripts), tls, changes)
        used.append(peers)
        peers.play(*scripts)
        return peers.balancer, peers.backends

    yield start
    for peers in used:
        try:
            await peers.settle()
        except BaseException:
            await stages.end(peers)  # no other test is to suffer from it
            raise


@pytest.fixture
def play(share: Share) -> Play:
    async def start(script: Script = serve, tls: bool = False) -> tuple[Balancer, ScriptedBackend]:
        balancer, [backend] = await share(script, tls=tls)
        return balancer, backend

    return start
