"""Fixtures: `directory`, `backends` (a factory) and `balance` (a factory); everything is stopped in reverse order."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from .backend import ScriptedBackend, serve
from .balancer import Balancer, running
from .configuration import configuration
from .tls import Authority

Backends = Callable[..., Awaitable[list[ScriptedBackend]]]
Balance = Callable[..., Awaitable[Balancer]]


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with a path short enough for a Unix socket (108 bytes, unix(7)); pytest's may be longer."""
    path = Path(tempfile.mkdtemp(prefix="lbp-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def backends() -> AsyncIterator[Backends]:
    """`await backends(script, ...)` starts one backend a script, named c1, c2 and so on."""
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
    failures = [failure for backend in started for failure in backend.failures]
    if failures:
        raise ExceptionGroup("backend scripts failed", failures)


@pytest.fixture
async def balance(directory: Path, authority: Authority, backends: Backends) -> AsyncIterator[Balance]:
    """`await balance(*backends, tls=False, **changes)` starts a balancer in front of them (see `configuration`).

    It depends on `backends` so that the balancer ends first.
    """
    async with AsyncExitStack() as stack:

        async def start(*members: ScriptedBackend, tls: bool = False, **changes: Any) -> Balancer:
            if tls:
                changes["certificate"] = authority.write(directory, "login.test", "127.0.0.1")
            urls = [(member.name, member.url) for member in members]
            config = configuration(directory, urls, **changes)
            context = authority.client_context() if tls else None
            return await stack.enter_async_context(running(config, directory, context))

        yield start
